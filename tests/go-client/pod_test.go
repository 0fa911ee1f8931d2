package goclient

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
)

// pod is a server of a test's own, with a client that is connected to it.
type pod struct {
	*client.ConmonClient
	t      *testing.T
	dir    string // of the test
	config *client.ConmonServerConfig
	down   bool // whether the test has ended the server itself
}

// change is something else than usual about a server.
type change func(*pod)

// withRuntime lets a shell script stand in for runc; `exec runc "$@"` is added at its end.
func withRuntime(script string) change {
	return func(p *pod) {
		p.config.Runtime = p.script("runtime", script+"\nexec "+runc+` "$@"`)
	}
}

// withManager chooses the control group manager of all requests.
func withManager(manager client.CgroupManager) change {
	return func(p *pod) { p.config.CgroupManager = manager }
}

// withEnvironment starts the server by hand with these variables; the client then finds it running.
func withEnvironment(variables ...string) change {
	return func(p *pod) {
		command := p.command()
		command.Env = append(os.Environ(), variables...)
		if output, err := command.CombinedOutput(); err != nil {
			p.t.Fatalf("%v: %v\n%s", command, err, output)
		}
	}
}

// newPod starts a server, which goes when the test ends.
func newPod(t *testing.T, changes ...change) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir()}
	p.config = client.NewConmonServerConfig(runc, filepath.Join(p.dir, "runc"), filepath.Join(p.dir, "run"))
	p.config.ConmonServerPath = server
	p.config.CgroupManager = client.CgroupManagerCgroupfs
	p.config.LogDriver = client.LogDriverStdout
	log, err := os.Create(filepath.Join(p.dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.config.Stdout, p.config.Stderr = log, log
	for _, change := range changes {
		change(p)
	}
	p.ConmonClient = p.connect()
	p.reap()
	t.Cleanup(p.end)
	return p
}

// connect makes another client of the same server, or the server if there is none.
func (p *pod) connect() *client.ConmonClient {
	p.t.Helper()
	config := *p.config
	made, err := client.New(&config)
	if err != nil {
		p.t.Fatalf("no client: %v\n%s", err, p.serverLog())
	}
	return made
}

// reap waits for the server's end, so that no zombie stays: whoever else would do it may take seconds, and the client
// counts a zombie as alive.
func (p *pod) reap() {
	hub := p.hub()
	go syscall.Wait4(hub, nil, 0, nil)
}

// command is the server's command line, as the client would give it.
func (p *pod) command() *exec.Cmd {
	c := p.config
	return exec.Command(server, "--runtime", c.Runtime, "--runtime-dir", c.ServerRunDir, "--runtime-root", c.RuntimeRoot,
		"--log-level", string(c.LogLevel), "--log-driver", "none")
}

// hub is the server's process.
func (p *pod) hub() int {
	return int(p.PID())
}

// run returns a path in the server's directory.
func (p *pod) run(name string) string {
	return filepath.Join(p.config.ServerRunDir, name)
}

// serverLog returns the last lines of what the server said.
func (p *pod) serverLog() string {
	log, _ := os.ReadFile(filepath.Join(p.dir, "server.log"))
	lines := strings.SplitAfter(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// idle waits until the server is all there is of itself: no worker, no role.
func (p *pod) idle() {
	p.t.Helper()
	until(p.t, "the server to be one process", func() bool { return len(helpers(p.hub())) == 0 })
}

// answers makes sure that the server is the same one and well.
func (p *pod) answers() {
	p.t.Helper()
	version, err := p.Version(context.Background(), &client.VersionConfig{})
	if err != nil {
		p.t.Fatalf("the server does not answer: %v\n%s", err, p.serverLog())
	}
	if version.ProcessID != p.PID() {
		p.t.Fatalf("the server is %d now, and was %d", version.ProcessID, p.PID())
	}
}

// shutdown ends the server as CRI-O does: SIGINT, and gone within ten seconds.
func (p *pod) shutdown() {
	p.t.Helper()
	p.down = true
	if err := p.Shutdown(); err != nil {
		p.t.Errorf("shutdown: %v\n%s", err, p.serverLog())
		syscall.Kill(p.hub(), syscall.SIGKILL)
	}
	for _, socket := range []string{"conmon.sock", "conmon-fd.sock"} {
		if exists(p.run(socket)) {
			p.t.Errorf("%s is still there after shutdown", socket)
		}
	}
}

func (p *pod) end() {
	if !p.down {
		p.shutdown()
	}
	if p.t.Failed() {
		p.t.Logf("the server said:\n%s", p.serverLog())
	}
}

// runc calls the runtime with the state directory that the server uses.
func (p *pod) runc(arguments ...string) (output string, err error) {
	command := exec.Command(runc, append([]string{"--root", p.config.RuntimeRoot}, arguments...)...)
	all, err := command.CombinedOutput()
	return string(all), err
}

// script writes an executable shell script.
func (p *pod) script(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	// A child of another test that inherits the open file would make it "busy".
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.TrimSpace(text)+"\n"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// wantError checks that there is an error and what it says.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Fatalf("the error is %q; want %q", err, text)
	}
}
