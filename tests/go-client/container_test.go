package goclient

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
)

// container is a bundle and the request that creates it, both to be changed before create.
type container struct {
	pod     *pod
	args    []string
	memory  int64 // limit in bytes; 0 for none
	request client.CreateContainerConfig
	pid     int
}

var containers atomic.Int64

// both runs a test without and with a terminal.
func both(t *testing.T, test func(t *testing.T, terminal bool)) {
	t.Parallel()
	for name, terminal := range map[string]bool{"streams": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, terminal)
		})
	}
}

// container is a new one that runs this command; it has a CRI log, an exit file and an out-of-memory file.
func (p *pod) container(terminal bool, args ...string) *container {
	p.t.Helper()
	// The control group has this name, so it must be the only one on the machine.
	id := fmt.Sprintf("%s-%d", os.Getenv(marker), containers.Add(1))
	bundle := filepath.Join(p.dir, id)
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		p.t.Fatal(err)
	}
	c := &container{pod: p, args: args}
	c.request = client.CreateContainerConfig{ID: id, BundlePath: bundle, Terminal: terminal}
	c.request.ExitPaths = []string{c.path("exit")}
	c.request.OOMExitPaths = []string{c.path("oom")}
	c.request.LogDrivers = []client.ContainerLogDriver{
		{Type: client.LogDriverTypeContainerRuntimeInterface, Path: c.path("log")},
	}
	return c
}

// sh is a new container that runs a shell script.
func (p *pod) sh(script string) *container {
	p.t.Helper()
	return p.container(false, "sh", "-c", script)
}

// path is a file in the bundle.
func (c *container) path(name string) string {
	return filepath.Join(c.request.BundlePath, name)
}

// inside is a file as the container sees it, which has to run.
func (c *container) inside(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", c.pid, path)
}

// write makes config.json (OCI runtime specification). Resource limits are left as they are, so that this also works
// where raising them is forbidden.
func (c *container) write() error {
	type object = map[string]any
	mount := func(kind, at string, options ...string) object {
		return object{"destination": at, "type": kind, "source": kind, "options": append(options, "nosuid")}
	}
	namespaces := []object{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}
	linux := object{"namespaces": namespaces}
	if c.memory > 0 {
		linux["resources"] = object{"memory": object{"limit": c.memory}}
	}
	may := []string{"CAP_KILL", "CAP_DAC_OVERRIDE"}
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"hostname":   "conmote",
		"root":       object{"path": rootfs, "readonly": true},
		"mounts": []object{
			mount("proc", "/proc"),
			mount("tmpfs", "/dev", "mode=755"),
			mount("devpts", "/dev/pts", "newinstance", "ptmxmode=0666", "mode=0620"),
			mount("tmpfs", "/tmp"),
		},
		"process": object{
			"terminal":     c.request.Terminal,
			"user":         object{"uid": 0, "gid": 0},
			"cwd":          "/",
			"env":          []string{"PATH=/bin", "PS1=/ # "},
			"args":         c.args,
			"capabilities": object{"bounding": may, "effective": may, "permitted": may},
		},
		"linux": linux,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("config.json"), config, 0o644)
}

// tryCreate creates the container, or says why it could not.
func (c *container) tryCreate() error {
	if err := c.write(); err != nil {
		return err
	}
	c.pod.t.Cleanup(func() { c.pod.runc("delete", "--force", c.request.ID) })
	response, err := c.pod.CreateContainer(context.Background(), &c.request)
	if err == nil {
		c.pid = int(response.PID)
	}
	return err
}

// create creates the container.
func (c *container) create() *container {
	c.pod.t.Helper()
	if err := c.tryCreate(); err != nil {
		c.pod.t.Fatalf("create: %v", err)
	}
	return c
}

// start lets the created container's command run.
func (c *container) start() *container {
	c.pod.t.Helper()
	if output, err := c.pod.runc("start", c.request.ID); err != nil {
		c.pod.t.Fatalf("runc start: %v: %s", err, output)
	}
	return c
}

// status asks the runtime: created, running or stopped; empty if it knows no such container.
func (c *container) status() string {
	var state struct{ Status string }
	output, err := c.pod.runc("state", c.request.ID)
	if err != nil || json.Unmarshal([]byte(output), &state) != nil {
		return ""
	}
	return state.Status
}

// exited waits for the exit file and returns what is in it.
func (c *container) exited() string {
	c.pod.t.Helper()
	appears(c.pod.t, "the exit file", c.request.ExitPaths[0])
	return read(c.pod.t, c.request.ExitPaths[0])
}

// kill ends the container's first process.
func (c *container) kill() {
	c.pod.t.Helper()
	if output, err := c.pod.runc("kill", c.request.ID, "KILL"); err != nil {
		c.pod.t.Fatalf("runc kill: %v: %s", err, output)
	}
}

// log returns the CRI log as it is now.
func (c *container) log() string {
	c.pod.t.Helper()
	return read(c.pod.t, c.path("log"))
}

// logged waits until the log holds this text somewhere.
func (c *container) logged(text string) {
	c.pod.t.Helper()
	if !seen(c.request.BundlePath, func() bool { return strings.Contains(c.log(), text) }) {
		c.pod.t.Fatalf("waited in vain for %q in the log", text)
	}
}

// exec runs a command in the container and expects an answer, whatever its status.
func (c *container) exec(arguments ...string) *client.ExecContainerResult {
	c.pod.t.Helper()
	return c.execWith(client.ExecSyncConfig{Command: arguments})
}

func (c *container) execWith(config client.ExecSyncConfig) *client.ExecContainerResult {
	c.pod.t.Helper()
	config.ID = c.request.ID
	result, err := c.pod.ExecSyncContainer(context.Background(), &config)
	if err != nil {
		c.pod.t.Fatalf("exec %q: %v", config.Command, err)
	}
	return result
}
