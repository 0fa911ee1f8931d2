package goclient

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What an idle server may cost, in kB of private dirty memory: so much, and so much per container; and as if for so many
// containers where there have been a hundred connections.
const (
	idleBase         = 16
	idlePerContainer = 1
	idleMany         = 4
)

// small checks that the server is one process, and how much of the memory is its own.
func (p *pod) small(containers int) {
	p.t.Helper()
	p.idle()
	dirty, stack := privateDirty(p.t, p.hub()), 0
	if _, after, found := strings.Cut(dirtyMappings(p.hub()), "[stack]: "); found {
		fmt.Sscan(after, &stack)
	}
	// The kernel begins a stack up to 8 kB below its top, at random, so that the same use takes one to three pages.
	dirty -= max(0, stack-8)
	p.t.Logf("like %d containers: %d kB private dirty, %d kB resident", containers, dirty, residentSet(p.t, p.hub()))
	if dirty > idleBase+idlePerContainer*containers {
		p.t.Errorf("%d kB of private dirty memory with %d containers:\n%s", dirty, containers, dirtyMappings(p.hub()))
	}
}

// TestAnIdlePodIsOneSmallProcess, with the connection open, and goes at once with all its containers.
func TestAnIdlePodIsOneSmallProcess(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	p.small(0)
	var made []*container
	for _, count := range []int{1, 10, 50} {
		var group sync.WaitGroup
		for len(made) < count {
			c := p.container(len(made)%5 == 4, "sleep", "1000")
			made = append(made, c)
			group.Add(1)
			go func() {
				defer group.Done()
				if err := c.tryCreate(); err != nil {
					t.Errorf("create: %v", err)
				} else if output, err := p.runc("start", c.request.ID); err != nil {
					t.Errorf("start: %v: %s", err, output)
				}
			}()
		}
		group.Wait()
		if t.Failed() {
			return
		}
		p.small(count)
	}
	begun := time.Now()
	kill(t, p.hub(), syscall.SIGINT)
	ends(t, "the server", p.hub())
	t.Logf("gone %v after SIGINT", time.Since(begun))
	p.shutdown()
	for _, c := range made {
		if alive(c.pid) {
			t.Errorf("container %d is alive", c.pid)
		}
		if !exists(c.path("exit")) || read(t, c.path("exit")) != "137" {
			t.Errorf("%s has no exit file with 137", c.request.ID)
		}
	}
}

func TestMemoryIsGivenBackAfterMuchOutput(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	p.idle()
	const each = 2 << 20
	line := strings.Repeat("0123456789abcde", 17) + "\n" // 256 bytes
	script := fmt.Sprintf("yes %[2]s | head -c %[1]d; yes %[2]s | head -c %[1]d >&2; touch /tmp/quiet; exec sleep 1000",
		each, strings.TrimSpace(line))
	var made []*container
	for range 20 {
		made = append(made, p.sh(script).create())
	}
	for _, c := range made {
		c.start()
	}
	want := strings.Repeat(line, each/len(line))
	for _, c := range made {
		appears(t, "the end of the output", c.inside("/tmp/quiet"))
		whole := seen(c.request.BundlePath, func() bool {
			info, err := os.Stat(c.path("log"))
			return err == nil && info.Size() >= 2*each
		})
		if !whole {
			t.Fatal("waited in vain for all of it in the log")
		}
		p.idle()
		for _, stream := range []string{"stdout", "stderr"} {
			if got := output(t, c.log(), stream); got != want {
				t.Errorf("%s has %d of %d bytes in the log", stream, len(got), each)
			}
		}
	}
	p.small(len(made))
}

// TestAConnectionOutlivesItsWorkers: a thousand times a call, a wait until the worker is gone, and a call on the same
// connection, which the client would close after any error.
func TestAConnectionOutlivesItsWorkers(t *testing.T) {
	t.Parallel()
	p := newPod(t, withEnvironment("CONMOTE_PARK_MS=1"))
	c := p.idler(false)
	p.idle()
	open := descriptors(p.hub())
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	for range rounds {
		p.answers()
		p.idle()
	}
	if got := string(c.exec("echo", "still here").Stdout); got != "still here\n" {
		t.Errorf("exec says %q", got)
	}
	p.idle()
	until(t, "the workers' descriptors to be closed", func() bool { return descriptors(p.hub()) <= open })
	p.small(1)
}

func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	var group sync.WaitGroup
	for range 100 {
		other := p.connect()
		group.Add(1)
		go func() {
			defer group.Done()
			for range 5 {
				if version, err := other.Version(t.Context(), nil); err != nil || version.ProcessID != p.PID() {
					t.Errorf("%+v, %v", version, err)
				}
			}
		}()
	}
	group.Wait()
	p.answers()
	p.small(idleMany)
}
