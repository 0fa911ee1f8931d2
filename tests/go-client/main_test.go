// Package goclient drives the pod server with the Go client that CRI-O uses for conmonrs.
//
// Real containers, real runc: it takes root, runc and busybox. CONMONRS_BINARY names another server than the one in
// dist/. Each test has a server and a directory of its own.
package goclient

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// What all tests share, and none changes.
var (
	server string // path of the program under test, called conmonrs
	runc   string // path of the OCI runtime
	rootfs string // root directory of all containers, read-only for them
)

// marker is in the environment of every server and what it starts, so that leftovers can be found.
const marker = "CONMOTE_TEST_ID"

// parkAfter is the idle time in milliseconds after which a connection is parked: short, so that most tests meet it.
const parkAfter = "50"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "conmote-go-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return fail(err)
	}
	code := m.Run()
	if left := marked(); code == 0 && len(left) > 0 {
		return fail(fmt.Errorf("processes left behind: %v", left))
	}
	return code
}

func fail(err error) int {
	fmt.Println("--- FAIL: TestMain:", err)
	return 1
}

// prepare finds the programs, makes the containers' root directory and quiets the client.
func prepare(dir string) (err error) {
	server = os.Getenv("CONMONRS_BINARY")
	if server == "" {
		server = "../../dist/conmonrs"
	}
	if server, err = filepath.Abs(server); err != nil {
		return err
	}
	if _, err = os.Stat(server); err != nil {
		return fmt.Errorf("no server to test: %w; run `cargo xtask dist`", err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("real containers take root")
	}
	// An environment such as services have: it is passed on to every server, and counts as its memory.
	path := os.Getenv("PATH")
	os.Clearenv()
	// Where a user's PATH may not lead.
	os.Setenv("PATH", path+":/usr/sbin:/sbin")
	if runc, err = exec.LookPath("runc"); err != nil {
		return err
	}
	rootfs = filepath.Join(dir, "rootfs")
	if err = makeRoot(rootfs); err != nil {
		return err
	}
	// Servers detach from their parent: they become children of this process.
	if err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	os.Setenv(marker, filepath.Base(dir))
	os.Setenv("CONMOTE_PARK_MS", parkAfter)
	logrus.SetOutput(io.Discard)
	return nil
}

// makeRoot fills a root directory with a busybox and a link for each of its commands.
func makeRoot(root string) error {
	for _, name := range []string{"bin", "proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755); err != nil {
		return err
	}
	commands, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(commands)) {
		if name != "busybox" {
			if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
				return err
			}
		}
	}
	return nil
}
