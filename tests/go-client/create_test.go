package goclient

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
)

func TestAContainerIsCreated(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.container(terminal, "sleep", "1000").create()
		if c.pid == 0 || !alive(c.pid) {
			t.Errorf("pid %d is not alive", c.pid)
		}
		if status := c.status(); status != "created" {
			t.Errorf("the runtime says %q", status)
		}
		if list, _ := p.runc("list"); !strings.Contains(list, c.request.ID) {
			t.Errorf("the runtime lists %q", list)
		}
		if _, parent := stat(c.pid); parent != p.hub() {
			t.Errorf("its parent is %d, the server %d", parent, p.hub())
		}
		c.start()
		if status := c.status(); status != "running" {
			t.Errorf("after start the runtime says %q", status)
		}
	})
}

func TestTheErrorOfTheRuntimeIsPassedOn(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		c := p.container(terminal, "no-such-command")
		err := c.tryCreate()
		wantError(t, err, "child command exited with: 1: ")
		wantError(t, err, "not found in $PATH")
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
		if exists(c.path("exit")) {
			t.Error("an exit file for what never was")
		}
		if terminal {
			if log := c.log(); log != "" {
				t.Errorf("the log has %q", log)
			}
		} else {
			c.logged("not found in $PATH")
		}
		p.answers()
		p.sh("true").create()
	})
}

func TestTheRuntimeEndsBeforeItSendsTheTerminal(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime("echo 'no terminal today' >&2; exit 9"))
	err := p.container(true, "sh").tryCreate()
	wantError(t, err, "child command exited with: 9: no terminal today")
	p.answers()
}

func TestADuplicateIsRefusedAndTheFirstLivesOn(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	first := p.sh("read line < /dev/null; sleep 1000").create().start()
	second := p.sh("true")
	second.request.ID = first.request.ID
	wantError(t, second.tryCreate(), "child command exited with: 1")
	if !alive(first.pid) {
		t.Fatal("the first container is gone")
	}
	if first.exec("true").ExitCode != 0 {
		t.Error("exec in the first container fails")
	}
	first.kill()
	if code := first.exited(); code != "137" {
		t.Errorf("exit file %q", code)
	}
}

func TestALogThatCannotBeOpenedStopsTheCreation(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(`echo "$@" >> "$(dirname "$0")/calls"`))
	c := p.sh("true")
	c.request.LogDrivers[0].Path = c.path("no/such/folder")
	wantError(t, c.tryCreate(), fmt.Sprintf("open log file path '%s': No such file or directory (os error 2)",
		c.path("no/such/folder")))
	if exists(filepath.Join(p.dir, "calls")) {
		t.Error("the runtime was called all the same")
	}
}

func TestContainersNeedNoLog(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("seq 100000; exit 4")
	c.request.LogDrivers = nil
	if code := c.create().start().exited(); code != "4" {
		t.Errorf("exit file %q", code)
	}
}

func TestGlobalArgumentsReachTheRuntime(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		c := newPod(t).container(terminal, "true")
		c.request.GlobalArgs = []string{"--log", c.path("runtime.log"), "--debug"}
		c.create()
		if read(t, c.path("runtime.log")) == "" {
			t.Error("the runtime's log is empty")
		}
	})
}

// recorder makes the runtime note its arguments, one line a call, and ask no systemd.
const recorder = `
echo "$@" >> "$(dirname "$0")/calls"
for word; do
	shift
	[ "$word" = --systemd-cgroup ] || set -- "$@" "$word"
done`

func (p *pod) calls() []string {
	return strings.Split(strings.TrimSpace(read(p.t, filepath.Join(p.dir, "calls"))), "\n")
}

func TestTheRuntimeIsCalledAsItShould(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(recorder))
	c := p.container(true, "sleep", "1000")
	c.request.GlobalArgs = []string{"--debug"}
	c.request.CommandArgs = []string{"--no-pivot"}
	c.create().start()
	c.exec("echo", "two words", "-x")
	calls := p.calls()
	root := regexp.QuoteMeta("--root=" + p.config.RuntimeRoot)
	bundle := regexp.QuoteMeta(c.request.BundlePath)
	want := []string{
		fmt.Sprintf(`^(%s )+--debug create --bundle %s --pid-file %s/pidfile --no-pivot --console-socket=\S+ %s$`,
			root, bundle, bundle, c.request.ID),
		fmt.Sprintf(`^(%s )+exec -d --pid-file=%s\S* %s echo two words -x$`,
			root, regexp.QuoteMeta(p.run("exec_sync")), c.request.ID),
	}
	for i := range want {
		if i >= len(calls) || !regexp.MustCompile(want[i]).MatchString(calls[i]) {
			t.Errorf("call %d is not %s\n%s", i, want[i], strings.Join(calls, "\n"))
		}
	}
}

func TestTheControlGroupManagerIsPassedOn(t *testing.T) {
	t.Parallel()
	for manager, global := range map[client.CgroupManager]client.CgroupManager{
		client.CgroupManagerSystemd:  client.CgroupManagerPerCommand,
		client.CgroupManagerCgroupfs: client.CgroupManagerPerCommand,
	} {
		p := newPod(t, withRuntime(recorder), withManager(global))
		c := p.sh("sleep 1000")
		c.request.CgroupManager = manager
		c.create().start()
		c.execWith(client.ExecSyncConfig{Command: []string{"true"}, CgroupManager: manager})
		for _, call := range p.calls() {
			asked := slices.Contains(strings.Fields(call), "--systemd-cgroup")
			if asked != (manager == client.CgroupManagerSystemd) {
				t.Errorf("manager %d: %s", manager, call)
			}
		}
	}
}

func TestSystemdMakesTheControlGroup(t *testing.T) {
	t.Parallel()
	p := newPod(t, withManager(client.CgroupManagerSystemd))
	c := p.sh("sleep 1000")
	if !exists("/run/systemd/system") {
		// Nobody to ask: the runtime must have tried, and says so.
		wantError(t, c.tryCreate(), "systemd")
		return
	}
	c.create()
	if groups := read(t, fmt.Sprintf("/proc/%d/cgroup", c.pid)); !strings.Contains(groups, c.request.ID+".scope") {
		t.Errorf("its control groups are %s", groups)
	}
}

func TestVariablesReachTheRuntimeProcess(t *testing.T) {
	t.Parallel()
	p := newPod(t, withRuntime(`echo "$1|$FIRST|$SECOND" >> "$(dirname "$0")/calls"`))
	c := p.sh("sleep 1000")
	c.request.EnvVars = map[string]string{"FIRST": "one word", "SECOND": "a=b\nc"}
	c.create().start()
	result := c.execWith(client.ExecSyncConfig{
		Command: []string{"sh", "-c", "echo ${FIRST-unset}"},
		EnvVars: map[string]string{"FIRST": "exec's"},
	})
	root := "--root=" + p.config.RuntimeRoot
	want := root + "|one word|a=b\nc\n" + root + "|exec's|\n"
	if got := read(t, filepath.Join(p.dir, "calls")); got != want {
		t.Errorf("the runtime saw %q, want %q", got, want)
	}
	if string(result.Stdout) != "unset\n" {
		t.Errorf("the command itself saw %q", result.Stdout)
	}
}

func TestWithoutStdinThereIsNothingToRead(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("wc -c; readlink /proc/self/fd/0").create().start()
	if code := c.exited(); code != "0" {
		t.Errorf("exit file %q", code)
	}
	if log := c.log(); !strings.Contains(log, "stdout F 0\n") || !strings.Contains(log, "stdout F /dev/null\n") {
		t.Errorf("the log has %q", log)
	}
}

func TestDescriptorsOfTheServerStayThere(t *testing.T) {
	t.Parallel()
	c := newPod(t).container(false, "ls", "/proc/self/fd").create().start()
	c.exited()
	// The last one is the folder that ls reads.
	if got := output(t, c.log(), "stdout"); got != "0\n1\n2\n3\n" {
		t.Errorf("the container's descriptors are %q", got)
	}
}

func TestManyAreCreatedAtOnce(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	failures := make(chan error, 30)
	made := make([]*container, cap(failures))
	for i := range made {
		// Every third cannot be created; that must not harm the others.
		made[i] = p.sh(fmt.Sprintf("exit %d", i))
		if i%3 == 2 {
			made[i].args = []string{"no-such-command"}
		}
		other := p.connect()
		go func() {
			made[i].pod = &pod{ConmonClient: other, t: p.t, dir: p.dir, config: p.config}
			failures <- made[i].tryCreate()
		}()
	}
	failed := 0
	for range made {
		if err := <-failures; err != nil {
			wantError(t, err, "not found in $PATH")
			failed++
		}
	}
	if failed != len(made)/3 {
		t.Errorf("%d of %d failed", failed, len(made))
	}
	for i, c := range made {
		if c.pid != 0 {
			if code := c.start().exited(); code != fmt.Sprint(i) {
				t.Errorf("container %d left %q", i, code)
			}
		}
	}
}

func TestRemoteDescriptors(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	remote, err := p.RemoteFDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	leaked, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	slots, err := remote.Send(int(writer.Fd()), int(held.Fd()))
	if err != nil || len(slots) != 2 {
		t.Fatalf("slots %v: %v", slots, err)
	}
	writer.Close()
	held.Close()
	c := p.sh("echo hello >&3; exec 3>&-; sleep 1000")
	c.request.AdditionalFDs, c.request.LeakFDs = slots[:1], slots[1:]
	c.request.CommandArgs = []string{"--preserve-fds", "1"}
	c.create().start()
	// The pipe's end comes when the container closes its copy: nobody else has kept one.
	if got, err := readPipe(reader); err != nil || got != "hello\n" {
		t.Errorf("through the additional descriptor came %q, %v", got, err)
	}
	again := p.sh("true")
	again.request.AdditionalFDs = slots[:1]
	wantError(t, again.tryCreate(), fmt.Sprintf("no file descriptor in slot %d", slots[0]))
	c.kill()
	c.exited()
	if got, err := readPipe(leaked); err != nil || got != "" {
		t.Errorf("the leaked descriptor gave %q, %v; want its end", got, err)
	}
	many := make([]int, 253)
	for i := range many {
		many[i] = int(reader.Fd())
	}
	if slots, err := remote.Send(many...); err != nil || len(slots) != len(many) {
		t.Errorf("%d slots for %d descriptors: %v", len(slots), len(many), err)
	}
}

// TestTracingIsAcceptedAndIgnored: the options and the trace context in every request.
func TestTracingIsAcceptedAndIgnored(t *testing.T) {
	t.Parallel()
	p := newPod(t, func(p *pod) {
		p.config.Tracing = &client.Tracing{Enabled: true, Endpoint: "http://127.0.0.1:1"}
	})
	c := p.sh("exit 5").create().start()
	if code := c.exited(); code != "5" {
		t.Errorf("exit file %q", code)
	}
	p.answers()
}

func TestTheContainerInheritsNothingFromTheServer(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	variables := p.container(false, "env").create().start()
	signals := p.container(false, "grep", "SigIgn", "/proc/self/status").create().start()
	variables.exited()
	signals.exited()
	if log := variables.log(); !strings.Contains(log, "PATH=/bin") || strings.Contains(log, "CONMOTE") {
		t.Errorf("its environment is %s", log)
	}
	if log := signals.log(); !strings.HasSuffix(log, "SigIgn:\t0000000000000000\n") {
		t.Errorf("signals are ignored: %s", log)
	}
}

// readPipe reads a pipe to its end, for a while.
func readPipe(from *os.File) (string, error) {
	from.SetReadDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(from)
	return string(text), err
}
