package goclient

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
)

// waiting makes the runtime wait, before it creates a container whose bundle has a FIFO "gate", until somebody opens that.
const waiting = `
case "$*" in *" create --bundle "*)
	for word; do [ -p "$word/gate" ] && { : > "$word/waits"; read line < "$word/gate"; }; done;;
esac`

// gated is a container whose creation waits at a gate.
func (p *pod) gated() *container {
	p.t.Helper()
	c := p.sh("sleep 1000")
	if err := syscall.Mkfifo(c.path("gate"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// atTheGate waits until the runtime does.
func (c *container) atTheGate() {
	c.pod.t.Helper()
	appears(c.pod.t, "the runtime to be called", c.path("waits"))
}

// open lets the runtime go on, if it still waits.
func (c *container) open() {
	c.pod.t.Helper()
	// For reading too: that way it never waits for the other side, which may have been killed.
	gate, err := os.OpenFile(c.path("gate"), os.O_RDWR, 0)
	if err != nil {
		c.pod.t.Fatal(err)
	}
	c.pod.t.Cleanup(func() { gate.Close() })
	gate.Write([]byte("\n"))
}

// nothingLeft checks that of a container whose client has gone there is nothing, and that its id is free.
func (c *container) nothingLeft() {
	p := c.pod
	p.t.Helper()
	until(p.t, "the container to be gone", func() bool {
		list, _ := p.runc("list", "--quiet")
		return !strings.Contains(list, c.request.ID)
	})
	p.idle()
	until(p.t, "its processes to be gone", func() bool { return len(children(p.hub())) == 0 })
	p.answers()
	os.Remove(c.path("gate"))
	c.create().start().kill()
	if code := c.exited(); code != "137" {
		p.t.Errorf("the second container of that name left %q", code)
	}
}

// TestAClientThatDisconnectsDuringCreateLeavesNothingBehind: an error of another call makes the Go client close its
// connection, and with it everything in flight.
func TestAClientThatDisconnectsDuringCreateLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(waiting))
	c := p.gated()
	result := make(chan error, 1)
	go func() { result <- c.tryCreate() }()
	c.atTheGate()
	err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: "nobody"})
	wantError(t, err, "child not available")
	if err := <-result; err == nil {
		t.Fatal("the call in flight has an answer")
	}
	c.open()
	c.nothingLeft()
}

func TestAClientThatTakesItsCallBackLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(waiting))
	c := p.gated()
	if err := c.write(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := p.CreateContainer(ctx, &c.request)
		result <- err
	}()
	c.atTheGate()
	cancel()
	if err := <-result; err == nil {
		t.Fatal("the call that was taken back has an answer")
	}
	c.open()
	c.nothingLeft()
}

// TestASlowCallDelaysNobody, neither on the same connection nor on others.
func TestASlowCallDelaysNobody(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(waiting))
	slow := p.gated()
	result := make(chan error, 1)
	go func() { result <- slow.tryCreate() }()
	slow.atTheGate()
	p.answers()
	c := p.sh("exit 4").create().start()
	if code := c.exited(); code != "4" {
		t.Errorf("exit file %q", code)
	}
	if _, err := p.connect().Version(context.Background(), nil); err != nil {
		t.Error(err)
	}
	// By now an idle connection is parked, and its worker gone: this one is not idle.
	until(t, "only one worker to be left", func() bool { return len(helpers(p.hub())) == 1 })
	p.answers()
	slow.open()
	if err := <-result; err != nil {
		t.Errorf("the slow call: %v", err)
	}
	slow.start()
}

func TestShutdownEndsContainersAndExecs(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		created := p.container(terminal, "sleep", "1000").create()
		running := p.container(terminal, "sh", "-c", "trap '' TERM INT HUP; sleep 1000").create().start()
		other := p.connect()
		go other.ExecSyncContainer(context.Background(), &client.ExecSyncConfig{
			ID: running.request.ID, Command: []string{"sh", "-c", "touch /tmp/exec; sleep 1000"}, Terminal: terminal,
		})
		appears(t, "the exec to run", running.inside("/tmp/exec"))
		p.shutdown()
		for _, c := range []*container{created, running} {
			if code := read(t, c.path("exit")); code != "137" {
				t.Errorf("exit file %q", code)
			}
			until(t, "the runtime to see it", func() bool { return c.status() == "stopped" })
		}
	})
}

func TestTerminateIsAsGoodAsInterrupt(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	kill(t, p.hub(), syscall.SIGTERM)
	ends(t, "the server", p.hub())
	if code := read(t, c.path("exit")); code != "137" {
		t.Errorf("exit file %q", code)
	}
	p.shutdown()
}

func TestAFrozenContainerDoesNotStopTheShutdown(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	frozen, other := p.idler(false), p.idler(false)
	if output, err := p.runc("pause", frozen.request.ID); err != nil {
		t.Fatalf("runc pause: %v: %s", err, output)
	}
	p.shutdown()
	if code := read(t, other.path("exit")); code != "137" {
		t.Errorf("the other container's exit file has %q", code)
	}
	if output, err := p.runc("resume", frozen.request.ID); err != nil {
		t.Errorf("runc resume: %v: %s", err, output)
	}
}

func TestAKilledWorkerCostsOneConnection(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(waiting))
	c := p.idler(false)
	gated := p.gated()
	other := &pod{ConmonClient: p.connect(), t: t, dir: p.dir, config: p.config}
	gated.pod = other
	result := make(chan error, 1)
	go func() { result <- gated.tryCreate() }()
	gated.atTheGate()
	for _, worker := range helpers(p.hub()) {
		syscall.Kill(worker, syscall.SIGKILL)
	}
	if err := <-result; err == nil {
		t.Error("the call of a killed worker has an answer")
	}
	// The client learns of a lost connection by an error, once.
	p.ConmonClient = p.connect()
	p.answers()
	if got := string(c.exec("echo", "alive").Stdout); got != "alive\n" {
		t.Errorf("exec says %q", got)
	}
	gated.open()
}

func TestStrangeNamesAreNoPaths(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	for _, id := range []string{"", "../x", "/etc/passwd", strings.Repeat("x", 5000), "new\nline", "-x"} {
		c := p.sh("true")
		c.request.ID = id
		if err := c.tryCreate(); err == nil {
			t.Errorf("a container called %q was created", id)
		}
		err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: id})
		wantError(t, err, "child not available")
	}
	c := p.sh("true")
	c.request.BundlePath = filepath.Join(p.dir, "no such bundle")
	if _, err := p.CreateContainer(context.Background(), &c.request); err == nil {
		t.Error("a container without a bundle was created")
	}
	p.answers()
}

func TestABadPidFileOfTheRuntimeIsAnError(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "x", "-1", "99999999999999999999", "1 2"} {
		p := newPod(t, withRuntime(fmt.Sprintf(`case "$*" in *" create --bundle "*)
			while [ "$1" != --pid-file ]; do shift; done; printf '%%s' '%s' > "$2"; exit 0;; esac`, content)))
		c := p.sh("true")
		if err := c.tryCreate(); err == nil {
			t.Errorf("pid file %q: created, pid %d", content, c.pid)
		}
		p.answers()
	}
}
