package goclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
	"go.podman.io/common/pkg/resize"
)

// asking is a running container whose shell takes commands from its input.
func (p *pod) asking(terminal bool, args ...string) *container {
	p.t.Helper()
	c := p.container(terminal, args...)
	c.request.Stdin = true
	return c.create().start()
}

func TestAttachToATerminal(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(true, "sh")
	s := c.attach()
	for _, word := range []string{"hello", "world"} {
		s.write("echo " + word + "\n")
		const prompt = "/ # \x1b[6n"
		var seen strings.Builder
		// The shell's first prompt may come before or after we attached.
		for want := "echo " + word + "\r\n" + word + "\r\n" + prompt; !strings.HasSuffix(seen.String(), want); {
			seen.WriteString(s.readOnce(s.stdout))
		}
	}
}

func TestAttachToStreamsInWholePackets(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(false, "sh")
	s := c.attach()
	for _, word := range []string{"hello", "world"} {
		s.write("echo " + word + "\n")
		if got := s.readOnce(s.stdout); got != word+"\n" {
			t.Errorf("stdout has %q", got)
		}
		s.write("echo no " + word + " >&2\n")
		if got := s.readOnce(s.stderr); got != "no "+word+"\n" {
			t.Errorf("stderr has %q", got)
		}
	}
}

func TestAttachEndsWithTheContainer(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		c := newPod(t).asking(terminal, "sh", "-c", "read x; exit 3")
		s := c.attach(func(config *client.AttachConfig) { config.Streams.Stdout = nil; config.Streams.Stderr = nil })
		s.write("go\n")
		if code := c.exited(); code != "3" {
			t.Errorf("exit file %q", code)
		}
		s.end()
	})
}

func TestAttachSeesTheOutputOfBothStreamsToTheEnd(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("mkfifo /tmp/go; echo out; exec >&-; read x < /tmp/go; seq 20000 >&2").create()
	c.listen()
	a := c.dial()
	c.start()
	a.readWhile("stdout", func() bool { return a.stdout.Len() < 4 })
	c.release("/tmp/go")
	a.readToEnd()
	if a.stdout.String() != "out\n" || a.stderr.String() != output(t, c.log(), "stderr") {
		t.Errorf("stdout %q, %d bytes of stderr, %d in the log", a.stdout.String(), a.stderr.Len(), len(c.log()))
	}
}

func TestInputArrivesToTheByte(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	for _, input := range []struct{ packets, size int }{{200, 1000}, {5, 32 << 10}, {3, 200_000}} {
		c := p.container(false, "sh", "-c", fmt.Sprintf("head -c %d | sha256sum", input.packets*input.size))
		c.request.Stdin = true
		c.create().start()
		c.listen()
		a := c.dial()
		hash := sha256.New()
		for n := range input.packets {
			packet := make([]byte, input.size)
			for i := range packet {
				packet[i] = byte(n + i*i) // NULs among them
			}
			hash.Write(packet)
			// The socket takes packets up to its buffer only; larger input comes as several.
			for chunk := range bytesOf(packet, 32<<10) {
				a.send(chunk)
			}
		}
		a.readToEnd()
		if want := fmt.Sprintf("%x  -\n", hash.Sum(nil)); a.stdout.String() != want {
			t.Errorf("%d × %d bytes: %q, want %q", input.packets, input.size, a.stdout.String(), want)
		}
	}
}

// bytesOf yields pieces of at most this size.
func bytesOf(all []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(all) > 0 {
			piece := all[:min(size, len(all))]
			all = all[len(piece):]
			if !yield(piece) {
				return
			}
		}
	}
}

func TestInputThroughTheClientWithNULs(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(false, "sh", "-c", "head -c 163840 | sha256sum")
	s := c.attach()
	text := strings.Repeat("\x00ab\x00cd\n\xff", 163840/8)
	for piece := range bytesOf([]byte(text), 32<<10) {
		s.write(string(piece))
	}
	s.expect(s.stdout, fmt.Sprintf("%x  -\n", sha256.Sum256([]byte(text))))
}

func TestTheEndOfInputIsPassedOnWhenAskedFor(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(false, "sh", "-c", "cat; exit 8")
	s := c.attach(func(config *client.AttachConfig) { config.StopAfterStdinEOF, config.ContainerStdin = true, true })
	s.write("the whole input\n")
	s.expect(s.stdout, "the whole input\n")
	s.stdin.Close()
	s.end()
	if code := c.exited(); code != "8" {
		t.Errorf("exit file %q", code)
	}
	if got := output(t, c.log(), "stdout"); got != "the whole input\n" {
		t.Errorf("the log has %q", got)
	}
}

func TestInputStaysOpenOtherwise(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(false, "cat")
	c.listen()
	for _, word := range []string{"first\n", "second\n", "third\n"} {
		a := c.dial()
		a.send([]byte(word))
		a.readWhile("the echo", func() bool { return a.stdout.String() != word })
		a.CloseWrite()
		a.Close()
	}
	if !alive(c.pid) {
		t.Error("the container has seen the end of its input")
	}
}

func TestOutOfMemoryIsNoticedAfterTheEndOfInput(t *testing.T) {
	t.Parallel()
	c := newPod(t).container(false, "sh", "-c", "cat; tail /dev/zero")
	c.request.Stdin, c.memory = true, 16<<20
	c.create().start()
	c.listen(func(config *client.AttachConfig) { config.StopAfterStdinEOF = true })
	a := c.dial()
	a.CloseWrite()
	c.exited()
	if !exists(c.path("oom")) {
		t.Error("no out-of-memory file")
	}
}

func TestAllClientsGetAllOutput(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("seq 30000; seq 100 >&2").create()
	c.listen()
	clients := []*packets{c.dial(), c.dial(), c.dial()}
	c.start()
	for _, a := range clients {
		a.readToEnd()
		if a.stdout.String() != output(t, c.log(), "stdout") || a.stderr.String() != output(t, c.log(), "stderr") {
			t.Errorf("%d bytes of stdout, %d of stderr", a.stdout.Len(), a.stderr.Len())
		}
	}
	if want := string(sequence(168894)); output(t, c.log(), "stdout") != want {
		t.Error("the log is not complete")
	}
}

func TestAClientThatReadsLateStillGetsTheRest(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("seq 30000").create()
	c.listen()
	late := c.dial()
	c.start()
	c.logged(" 5000\n")
	late.readToEnd()
	if late.stdout.String() != string(sequence(168894)) {
		t.Errorf("%d bytes arrived", late.stdout.Len())
	}
}

func TestAStuckClientDelaysNobody(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("mkfifo /tmp/go; echo begin; read x < /tmp/go; seq 1000000; exit 2").create().start()
	c.logged("begin")
	c.listen()
	stuck := c.dial()
	c.release("/tmp/go")
	if code := c.exited(); code != "2" {
		t.Errorf("exit file %q", code)
	}
	if got := output(t, c.log(), "stdout"); got != "begin\n"+string(sequence(len(got)-6)) || len(got) < 6_000_000 {
		t.Errorf("%d bytes are in the log", len(got))
	}
	stuck.Close()
}

func TestClientsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.asking(false, "cat")
	c.listen()
	visit := func() {
		a := c.dial()
		a.send([]byte("x\n"))
		a.readWhile("the echo", func() bool { return a.stdout.Len() == 0 })
		a.Close()
	}
	visit()
	p.idle()
	open, dirty := descriptors(p.hub()), privateDirty(t, p.hub())
	for range 100 {
		visit()
	}
	p.idle()
	until(t, "the clients' descriptors to be closed", func() bool { return descriptors(p.hub()) <= open })
	if now := privateDirty(t, p.hub()); now > dirty+4 {
		t.Errorf("%d kB private, %d before", now, dirty)
	}
}

func TestAttachSocketsAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	c.listen(func(config *client.AttachConfig) { config.SocketPath = c.path("a/new/folder/attach") })
	info, err := os.Stat(c.path("a/new/folder/attach"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the socket has mode %v", info.Mode())
	}
}

func TestAStaleAttachSocketIsReplaced(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	if err := os.WriteFile(c.path("attach"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.listen()
	c.dial()
	// A second request finds the first one's socket alive and leaves it.
	c.listen()
	c.dial()
}

func TestAttachIsOnlyForContainersThatAreThere(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	attach := func(id string) error {
		config := client.AttachConfig{ID: id, SocketPath: p.dir + "/attach", Passthrough: true}
		return p.AttachContainer(context.Background(), &config)
	}
	wantError(t, attach("nobody"), "child not available")
	c := p.sh("true").create().start()
	c.exited()
	until(t, "the container to be forgotten", func() bool { return attach(c.request.ID) != nil })
	wantError(t, attach(c.request.ID), "child not available")
}

func TestTheWindowSize(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.idler(terminal)
		set := func(id string) error {
			size := &resize.TerminalSize{Width: 10, Height: 20}
			return p.SetWindowSizeContainer(context.Background(), &client.SetWindowSizeContainerConfig{ID: id, Size: size})
		}
		err := set(c.request.ID)
		if !terminal {
			wantError(t, err, "container has no terminal")
		} else if err != nil {
			t.Error(err)
		} else if size := c.exec("sh", "-c", "stty size < /proc/1/fd/0"); string(size.Stdout) != "20 10\n" {
			t.Errorf("the container has %q", size.Stdout)
		}
		wantError(t, set("nobody"), "child not available")
	})
}

func TestResizeEventsOfAnAttachedClient(t *testing.T) {
	t.Parallel()
	c := newPod(t).asking(true, "sh", "-c", "stty -echo; while read x; do stty size; done")
	events := make(chan resize.TerminalSize, 1)
	s := c.attach(func(config *client.AttachConfig) { config.Resize = events })
	events <- resize.TerminalSize{Width: 77, Height: 66}
	var seen bytes.Buffer
	for !strings.Contains(seen.String(), "66 77\r\n") {
		s.write("go\n")
		seen.WriteString(s.readOnce(s.stdout))
	}
}
