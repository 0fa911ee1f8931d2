package goclient

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
)

func TestVersionSaysWhoTheServerIs(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	for _, verbose := range []bool{false, true} {
		v, err := p.Version(context.Background(), &client.VersionConfig{Verbose: verbose})
		if err != nil {
			t.Fatal(err)
		}
		if v.ProcessID == 0 || v.ProcessID != p.PID() {
			t.Errorf("pid %d, want %d", v.ProcessID, p.PID())
		}
		for name, value := range map[string]string{
			"version": v.Version, "commit": v.Commit, "build date": v.BuildDate, "target": v.Target,
			"rust version": v.RustVersion, "cargo version": v.CargoVersion,
		} {
			if value == "" {
				t.Errorf("no %s", name)
			}
		}
		if (v.CargoTree != "") != verbose {
			t.Errorf("verbose %v, and a cargo tree of %d bytes", verbose, len(v.CargoTree))
		}
	}
}

func TestVersionOfTheBinaryIsThatOfTheServer(t *testing.T) {
	t.Parallel()
	binary, err := client.Version(server)
	if err != nil {
		t.Fatal(err)
	}
	v, err := newPod(t).Version(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := client.ServerVersion{Version: v.Version, Tag: v.Tag, Commit: v.Commit, BuildDate: v.BuildDate,
		Target: v.Target, RustVersion: v.RustVersion, CargoVersion: v.CargoVersion}
	if *binary != want {
		t.Errorf("the binary says %+v, the server %+v", *binary, want)
	}
}

func TestAnUnknownOptionIsNamed(t *testing.T) {
	t.Parallel()
	output, err := exec.Command(server, "--no-such-option").CombinedOutput()
	first, _, _ := strings.Cut(string(output), "\n")
	if first != "error: unexpected argument '--no-such-option' found" {
		t.Errorf("it says %q", first)
	}
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 {
		t.Errorf("%v; want status 2", err)
	}
}

func TestASecondClientFindsTheServer(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	second := p.connect()
	if second.PID() != p.PID() {
		t.Errorf("the second client has server %d, the first %d", second.PID(), p.PID())
	}
	for range 3 {
		if _, err := second.Version(context.Background(), nil); err != nil {
			t.Error(err)
		}
		p.answers()
	}
}

func TestAServerStartedByHandIsAdopted(t *testing.T) {
	t.Parallel()
	p := newPod(t, withEnvironment())
	if written := read(t, p.run("pidfile")); written != strconv.Itoa(p.hub()) {
		t.Errorf("the pid file says %q, the server is %d", written, p.hub())
	}
	if name := filepath.Base(program(p.hub())); name != "exit-reaper" {
		t.Errorf("the server has become %s", name)
	}
}

func TestALiveSocketIsNotStolen(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	output, err := p.command().CombinedOutput()
	if err == nil {
		t.Fatal("a second server on the same directory started")
	}
	if !strings.Contains(string(output), "is served by another process") {
		t.Errorf("it says %q", output)
	}
	p.answers()
	if p.connect().PID() != p.PID() {
		t.Error("a new client finds another server")
	}
}

func TestASocketThatNobodyServesIsReplaced(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	kill(t, p.hub(), syscall.SIGKILL)
	ends(t, "the server", p.hub())
	if !exists(p.run("conmon.sock")) {
		t.Fatal("a killed server cannot have removed its socket")
	}
	before := p.PID()
	p.ConmonClient = p.connect()
	p.reap()
	if p.PID() == before {
		t.Error("the same pid")
	}
	p.answers()
}

func TestALongDirectoryIsFine(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t, func(p *pod) {
			p.config.ServerRunDir = filepath.Join(p.dir, strings.Repeat("long", 30), strings.Repeat("er", 60))
		})
		c := p.container(terminal, "echo", "hello").create().start()
		c.logged("stdout F hello")
		if code := c.exited(); code != "0" {
			t.Errorf("exit file %q", code)
		}
	})
}
