package goclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
	"go.podman.io/common/pkg/resize"
)

// idler is a running container that does nothing, for exec.
func (p *pod) idler(terminal bool) *container {
	p.t.Helper()
	return p.container(terminal, "sleep", "1000").create().start()
}

func TestExecGivesOutputAndStatus(t *testing.T) {
	for _, timeout := range []uint64{0, 10, math.MaxUint64} {
		t.Run(fmt.Sprint("timeout ", timeout), func(t *testing.T) {
			both(t, func(t *testing.T, terminal bool) {
				p := newPod(t)
				c := p.idler(terminal)
				command := []string{"echo", "-n", "hello", "world"}
				result := c.execWith(client.ExecSyncConfig{Command: command, Terminal: terminal, Timeout: timeout})
				if result.ExitCode != 0 || result.TimedOut || string(result.Stdout) != "hello world" || len(result.Stderr) > 0 {
					t.Errorf("the result is %+v", result)
				}
				err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: c.request.ID})
				if err != nil || c.log() != "" {
					t.Errorf("the container's log has %q, %v", c.log(), err)
				}
			})
		})
	}
}

func TestExecOfABadCommandInTheContainer(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		c := newPod(t).idler(terminal)
		command := []string{"busybox", "no-such-command"}
		result := c.execWith(client.ExecSyncConfig{Command: command, Terminal: terminal})
		const message = "no-such-command: applet not found"
		if result.ExitCode != 127 {
			t.Errorf("status %d", result.ExitCode)
		}
		if terminal && (string(result.Stdout) != message+"\r\n" || len(result.Stderr) > 0) {
			t.Errorf("stdout %q, stderr %q", result.Stdout, result.Stderr)
		}
		if !terminal && (string(result.Stderr) != message+"\n" || len(result.Stdout) > 0) {
			t.Errorf("stdout %q, stderr %q", result.Stdout, result.Stderr)
		}
	})
}

func TestExecThatTheRuntimeRefuses(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.idler(terminal)
		result := c.execWith(client.ExecSyncConfig{Command: []string{"/no/such/file"}, Terminal: terminal, Timeout: 60})
		if result.ExitCode != -2 || result.TimedOut || len(result.Stdout)+len(result.Stderr) > 0 {
			t.Errorf("the result is %+v", result)
		}
		p.answers()
	})
}

func TestExecIsOnlyForContainersThatAreThere(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	result, err := p.ExecSyncContainer(context.Background(), &client.ExecSyncConfig{ID: "nobody", Command: []string{"true"}})
	if err == nil && result.ExitCode != -2 {
		t.Errorf("the result is %+v; want -2, or an error", result)
	}
	p.answers()
}

func TestExecsSideBySide(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.idler(terminal)
		problems := make(chan error)
		for n := range 10 {
			go func() {
				want := fmt.Sprintf("exec %d", n)
				script := fmt.Sprintf("printf '%s'; exit %d", want, n)
				result, err := p.ExecSyncContainer(context.Background(), &client.ExecSyncConfig{
					ID: c.request.ID, Command: []string{"sh", "-c", script}, Terminal: terminal,
				})
				if err == nil && (string(result.Stdout) != want || result.ExitCode != int32(n)) {
					err = fmt.Errorf("exec %d gave %+v", n, result)
				}
				problems <- err
			}()
		}
		for range 10 {
			if err := <-problems; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestExecsLeaveNothingBehind(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.idler(terminal)
		p.idle()
		files, open := listing(t, p.config.ServerRunDir), descriptors(p.hub())
		dirty, resident := privateDirty(t, p.hub()), residentSet(t, p.hub())
		for n := range 25 {
			result := c.execWith(client.ExecSyncConfig{Command: []string{"echo", fmt.Sprint(n)}, Terminal: terminal})
			if got := strings.TrimSpace(string(result.Stdout)); got != fmt.Sprint(n) {
				t.Errorf("exec %d gave %+v", n, result)
			}
		}
		p.idle()
		if now := listing(t, p.config.ServerRunDir); now != files {
			t.Errorf("the server's folder has %s, and had %s", now, files)
		}
		until(t, "the execs' descriptors to be closed", func() bool { return descriptors(p.hub()) <= open })
		if now := privateDirty(t, p.hub()); now > dirty+4 {
			t.Errorf("%d kB private, %d before", now, dirty)
		}
		if now := residentSet(t, p.hub()); now > resident+100 || now > 5500 {
			t.Errorf("%d kB resident, %d before", now, resident)
		}
	})
}

func listing(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestExecTimesOut(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.idler(terminal)
		result := c.execWith(client.ExecSyncConfig{
			Command: []string{"sh", "-c", "printf before; sleep 1000"}, Terminal: terminal, Timeout: 1,
		})
		if !result.TimedOut || result.ExitCode != -3 || string(result.Stdout) != "before" {
			t.Errorf("the result is %+v", result)
		}
		// What is left is the container's own sleep.
		until(t, "the command to be gone", func() bool {
			return strings.TrimSpace(string(c.exec("sh", "-c", "ps | grep -c '[s]leep 1000'").Stdout)) == "1"
		})
	})
}

func TestExecWithABackgroundChildDoesNotWaitForIt(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	for _, timeout := range []uint64{0, 100} {
		begun := time.Now()
		result := c.execWith(client.ExecSyncConfig{
			Command: []string{"sh", "-c", "sleep 1000 & echo started; exit 5"}, Timeout: timeout,
		})
		if result.ExitCode != 5 || result.TimedOut || string(result.Stdout) != "started\n" {
			t.Errorf("timeout %d: the result is %+v", timeout, result)
		}
		if took := time.Since(begun); took > patience {
			t.Errorf("timeout %d: it took %v", timeout, took)
		}
	}
}

func TestExecEndedByASignal(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	if result := c.exec("sh", "-c", "kill -9 $$"); result.ExitCode != 137 {
		t.Errorf("the result is %+v", result)
	}
}

func TestExecKeepsItsStreamsApartAndEveryByte(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	script := `for n in 0 1 2 3 4 5 6 7; do printf '\000\001\377\r\n'; printf 'e\000' >&2; done`
	result := c.exec("sh", "-c", script)
	if want := bytes.Repeat([]byte("\x00\x01\xff\r\n"), 8); !bytes.Equal(result.Stdout, want) {
		t.Errorf("stdout is %q", result.Stdout)
	}
	if want := bytes.Repeat([]byte("e\x00"), 8); !bytes.Equal(result.Stderr, want) {
		t.Errorf("stderr is %q", result.Stderr)
	}
}

func TestExecHasNoInput(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	if result := c.exec("wc", "-c"); result.ExitCode != 0 || strings.TrimSpace(string(result.Stdout)) != "0" {
		t.Errorf("the result is %+v", result)
	}
}

func TestExecWithMuchOutput(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	for _, megabytes := range []int{1, 5, 10, 15} {
		size := megabytes << 20
		result := c.exec("sh", "-c", fmt.Sprintf("seq 1000000000 | head -c %d", size))
		if len(result.Stdout) != size || result.ExitCode != 0 {
			t.Errorf("%d of %d bytes, status %d", len(result.Stdout), size, result.ExitCode)
			continue
		}
		if sha256.Sum256(result.Stdout) != sha256.Sum256(sequence(size)) {
			t.Errorf("%d bytes, but not the right ones", size)
		}
	}
	p.idle()
	if dirty := privateDirty(t, p.hub()); dirty > 20 {
		t.Errorf("%d kB private afterwards", dirty)
	}
}

// sequence is what `seq` writes, cut off.
func sequence(size int) []byte {
	var text bytes.Buffer
	for n := 1; text.Len() < size; n++ {
		fmt.Fprintln(&text, n)
	}
	return text.Bytes()[:size]
}

func TestExecWithTooMuchOutputEndsAllTheSame(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	result := c.exec("sh", "-c", "seq 1000000000 | head -c 20000000; exit 3")
	if result.ExitCode != 3 || len(result.Stdout) > 16<<20 || len(result.Stdout) < 15<<20 {
		t.Errorf("%d bytes, status %d", len(result.Stdout), result.ExitCode)
	}
	if !bytes.Equal(result.Stdout, sequence(len(result.Stdout))) {
		t.Error("the bytes are not the first ones")
	}
	p.answers()
}

// TestOtherCallsDuringExecAreForTheContainer: log, attach and window size, all answered while the exec runs.
func TestOtherCallsDuringExecAreForTheContainer(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.container(true, "sh", "-c", "mkfifo /tmp/go /tmp/end; read x < /tmp/go; echo after; read x; echo got $x; stty size; sleep 1000")
	c.request.Stdin = true
	c.create().start()
	appears(t, "the FIFOs", c.inside("/tmp/end"))
	ended := make(chan *client.ExecContainerResult, 1)
	go func() {
		result, _ := p.ExecSyncContainer(context.Background(), &client.ExecSyncConfig{
			ID: c.request.ID, Command: []string{"sh", "-c", "touch /tmp/exec; read x < /tmp/end; echo exec"},
		})
		ended <- result
	}()
	appears(t, "the exec to run", c.inside("/tmp/exec"))
	os.Rename(c.path("log"), c.path("log.1"))
	if err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: c.request.ID}); err != nil {
		t.Fatal(err)
	}
	if !exists(c.path("log")) {
		t.Error("the container's log was not opened again")
	}
	size := &resize.TerminalSize{Width: 33, Height: 44}
	if err := p.SetWindowSizeContainer(context.Background(), &client.SetWindowSizeContainerConfig{ID: c.request.ID, Size: size}); err != nil {
		t.Fatal(err)
	}
	c.listen()
	attached := c.dial()
	c.release("/tmp/go")
	attached.readWhile("the container's output", func() bool { return !strings.Contains(attached.stdout.String(), "after") })
	attached.send([]byte("input\n"))
	attached.readWhile("the size", func() bool { return !strings.Contains(attached.stdout.String(), "44 33") })
	if !strings.Contains(attached.stdout.String(), "got input") {
		t.Errorf("attach shows %q", attached.stdout.String())
	}
	select {
	case result := <-ended:
		t.Fatalf("the exec ended too soon: %+v", result)
	default:
	}
	c.release("/tmp/end")
	if result := <-ended; result == nil || string(result.Stdout) != "exec\n" || result.ExitCode != 0 {
		t.Errorf("the exec gave %+v", result)
	}
}

func TestTheContainerEndsDuringExec(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	ended := make(chan *client.ExecContainerResult, 1)
	go func() {
		result, _ := p.ExecSyncContainer(context.Background(), &client.ExecSyncConfig{
			ID: c.request.ID, Command: []string{"sh", "-c", "touch /tmp/exec; sleep 1000"},
		})
		ended <- result
	}()
	appears(t, "the exec to run", c.inside("/tmp/exec"))
	c.kill()
	if code := c.exited(); code != "137" {
		t.Errorf("exit file %q", code)
	}
	select {
	case result := <-ended:
		if result == nil || result.ExitCode != 137 {
			t.Errorf("the exec gave %+v", result)
		}
	case <-time.After(patience):
		t.Error("the exec never ends")
	}
}

func TestExecPidFilesAreRemoved(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	c.exec("true")
	c.exec("/no/such/file")
	c.execWith(client.ExecSyncConfig{Command: []string{"sleep", "1000"}, Timeout: 1})
	if left, _ := filepath.Glob(p.run("exec*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
