package goclient

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long something may take that should happen soon: generous, for loaded machines.
const patience = 30 * time.Second

// until waits for something to become true of which nobody tells: the state of other processes, for one.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// seen waits for something to become true when a file in this folder changes, of which the kernel tells (inotify(7)).
func seen(folder string, is func() bool) bool {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return false
	}
	defer unix.Close(watch)
	const changes = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MODIFY | unix.IN_CLOSE_WRITE
	if _, err := unix.InotifyAddWatch(watch, folder, changes); err != nil {
		return is()
	}
	events := make([]byte, 4096)
	for deadline := time.Now().Add(patience); !is(); {
		if !readable(watch, deadline) {
			return false
		}
		for length, err := unix.Read(watch, events); length > 0 && err == nil; {
			length, err = unix.Read(watch, events)
		}
	}
	return true
}

// readable waits until there is something to read, or the end of a process.
func readable(descriptor int, deadline time.Time) bool {
	for left := time.Until(deadline); left > 0; left = time.Until(deadline) {
		watched := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}
		if count, err := unix.Poll(watched, int(left.Milliseconds())+1); count > 0 || (err != nil && err != unix.EINTR) {
			return err == nil
		}
	}
	return false
}

// appears waits until there is a file of this name.
func appears(t *testing.T, what, path string) {
	t.Helper()
	if !seen(filepath.Dir(path), func() bool { return exists(path) }) {
		t.Fatalf("waited in vain for %s, %s", what, path)
	}
}

// ends waits until a process has ended.
func ends(t *testing.T, what string, pid int) {
	t.Helper()
	process, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatalf("cannot watch %s: %v", what, err)
	}
	defer unix.Close(process)
	if !readable(process, time.Now().Add(patience)) {
		t.Fatalf("waited in vain for the end of %s", what)
	}
}

// release lets whoever waits at this FIFO in the container go on, once it is there.
func (c *container) release(fifo string) {
	t := c.pod.t
	t.Helper()
	appears(t, "somebody to wait", c.inside(fifo))
	// For reading too: that way it never waits for the other side.
	gate, err := os.OpenFile(c.inside(fifo), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close() })
	if _, err := gate.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
}
