package goclient

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTheExitFileHasTheStatus(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		for script, want := range map[string]string{"true": "0", "exit 3": "3", "kill -9 $$; sleep 9": "137"} {
			c := p.container(terminal, "sh", "-c", "sh -c '"+script+"'; exit $?").create().start()
			if code := c.exited(); code != want {
				t.Errorf("%q left %q, want %q", script, code, want)
			}
		}
	})
}

func TestASignalIsPartOfTheStatus(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		c := p.sh("trap 'exit 7' TERM; echo ready; sleep 1000 & wait").create().start()
		c.logged("ready")
		want := fmt.Sprint(128 + int(signal))
		if signal == syscall.SIGTERM {
			want = "7" // the container decides itself
		}
		kill(t, c.pid, signal)
		if code := c.exited(); code != want {
			t.Errorf("after %v the exit file has %q, want %q", signal, code, want)
		}
	}
}

func TestAContainerThatNeverStartsHasAnExitFileToo(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("true").create()
	kill(t, c.pid, syscall.SIGKILL)
	if code := c.exited(); code != "137" {
		t.Errorf("exit file %q", code)
	}
}

func TestAContainerThatDiesDuringItsCreationIsNotLost(t *testing.T) {
	t.Parallel()
	// The runtime kills what it has made before it returns.
	p := newPod(t, withRuntime(runcThen(`pid=$(cat "$bundle/pidfile"); kill -9 "$pid"; while kill -0 "$pid" 2>/dev/null; do :; done`)))
	c := p.sh("true").create()
	if code := c.exited(); code != "137" {
		t.Errorf("exit file %q", code)
	}
}

// runcThen makes the runtime do something after a successful create; $bundle is the container's bundle.
func runcThen(script string) string {
	return `case "$*" in *" create --bundle "*) ` + runc + ` "$@" || exit
	while [ "$1" != --bundle ]; do shift; done; bundle=$2
	` + script + `; exit 0;; esac`
}

func TestEveryExitPathIsWritten(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("exit 42")
	blocked := c.path("a-file/exit")
	if err := os.WriteFile(c.path("a-file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	last := filepath.Join(p.dir, "last exit")
	c.request.ExitPaths = []string{c.path("exit"), blocked, last}
	c.create().start()
	appears(t, "the last exit file", last)
	for _, path := range []string{c.path("exit"), last} {
		if code := read(t, path); code != "42" {
			t.Errorf("%s has %q", path, code)
		}
	}
	p.answers()
}

func TestExitFilesAppearWhole(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	var made []*container
	for range 10 {
		c := p.sh("exit 111").create()
		made = append(made, c)
		c.start()
	}
	for _, c := range made {
		// The first sight of it must be all of it.
		if code := c.exited(); code != "111" {
			t.Errorf("exit file %q", code)
		}
	}
}

func TestOutOfMemoryIsNoticed(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.container(terminal, "tail", "/dev/zero")
		c.memory = 16 << 20
		second := c.path("second oom")
		c.request.OOMExitPaths = append(c.request.OOMExitPaths, second)
		neighbour := p.sh("sleep 1000").create().start()
		c.create().start()
		if code := c.exited(); code != "137" {
			t.Errorf("exit file %q", code)
		}
		// The exit file comes last.
		for _, path := range c.request.OOMExitPaths {
			if content := read(t, path); content != "" {
				t.Errorf("%s has %q, want nothing", path, content)
			}
		}
		neighbour.kill()
		neighbour.exited()
		if exists(neighbour.path("oom")) {
			t.Error("the neighbour has an out-of-memory file")
		}
	})
}

func TestOutOfMemoryOfAnotherProcessIsNoticed(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("tail /dev/zero; exit 4")
	c.memory = 16 << 20
	if code := c.create().start().exited(); code != "4" {
		t.Errorf("exit file %q", code)
	}
	if content := read(t, c.path("oom")); content != "" {
		t.Errorf("the out-of-memory file has %q", content)
	}
}

func TestTheCleanupCommandRunsAtTheEnd(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		c := newPod(t).container(terminal, "sh", "-c", "exit 6")
		trace, exit := c.path("what cleanup saw"), c.path("exit")
		c.request.CleanupCmd = []string{"/bin/sh", "-c", `cat "$1" > "$2.new" && mv "$2.new" "$2"`, "cleanup", exit, trace}
		c.create().start()
		appears(t, "the cleanup command", trace)
		if saw := read(t, trace); saw != "6" {
			t.Errorf("the exit file was %q when cleanup ran", saw)
		}
	})
}

func TestACleanupCommandMayFail(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	pidFile := filepath.Join(p.dir, "cleanup pid")
	endless := []string{"/bin/sh", "-c", `echo $$ > "$0"; exec sleep 1000`, pidFile}
	for _, command := range [][]string{{"/no/such/command"}, {"/bin/false"}, endless} {
		c := p.sh("exit 6")
		c.request.CleanupCmd = command
		if code := c.create().start().exited(); code != "6" {
			t.Errorf("with cleanup %q the exit file has %q", command, code)
		}
		p.answers()
	}
	pid := 0
	running := seen(p.dir, func() bool {
		text, _ := os.ReadFile(pidFile)
		_, err := fmt.Sscanln(string(text), &pid)
		return err == nil
	})
	if !running {
		t.Fatal("waited in vain for the endless command")
	}
	kill(t, pid, syscall.SIGKILL)
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("sleep 1000").create().start()
	// Nobody waits for the process that exec leaves behind in the container, or for the runtime's helpers.
	c.exec("sh", "-c", "sleep 0.05 & exec true")
	c.kill()
	c.exited()
	until(t, "no zombie", func() bool {
		for _, pid := range children(p.hub()) {
			if state, _ := stat(pid); state == "Z" {
				return false
			}
		}
		return true
	})
	if output, err := p.runc("delete", c.request.ID); err != nil {
		t.Errorf("runc delete: %v: %s", err, strings.TrimSpace(output))
	}
}
