package goclient

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
)

// record is one line of a CRI log.
type record struct {
	time        time.Time
	stream, tag string
	content     string
}

// records takes a CRI log apart, and fails on a line that is none.
func records(t *testing.T, log string) (all []record) {
	t.Helper()
	if log == "" {
		return nil
	}
	if !strings.HasSuffix(log, "\n") {
		t.Fatalf("the log ends within a line: %q", tail(log))
	}
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		parts := strings.SplitN(line, " ", 4)
		if len(parts) < 4 || (parts[1] != "stdout" && parts[1] != "stderr") || (parts[2] != "F" && parts[2] != "P") {
			t.Fatalf("not a line of a CRI log: %q", line)
		}
		at, err := time.Parse(time.RFC3339Nano, parts[0])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record{time: at, stream: parts[1], tag: parts[2], content: parts[3]})
	}
	return all
}

// output puts the content of one stream together again.
func output(t *testing.T, log, stream string) string {
	t.Helper()
	var text strings.Builder
	for _, r := range records(t, log) {
		if r.stream == stream {
			text.WriteString(r.content)
			if r.tag == "F" {
				text.WriteByte('\n')
			}
		}
	}
	return text.String()
}

func tail(text string) string {
	return text[max(0, len(text)-200):]
}

func TestTheLogIsWhatTheContainerWrote(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Second)
	c := newPod(t).sh("echo one; echo two >&2; echo; printf 'no end'").create().start()
	c.exited()
	all := records(t, c.log())
	for _, r := range all {
		if r.time.Before(before) || r.time.After(time.Now()) {
			t.Errorf("written at %v", r.time)
		}
	}
	if got := output(t, c.log(), "stdout"); got != "one\n\nno end" {
		t.Errorf("stdout is %q", got)
	}
	if got := output(t, c.log(), "stderr"); got != "two\n" {
		t.Errorf("stderr is %q", got)
	}
	if last := all[len(all)-1]; last.tag != "P" && all[len(all)-2].tag != "P" {
		t.Errorf("nothing says that the last line is not a whole one: %v", all)
	}
	if info, _ := os.Stat(c.path("log")); info.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %v", info.Mode())
	}
}

func TestAnOldLogIsReplaced(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("echo new")
	if err := os.WriteFile(c.path("log"), []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.create().start().exited()
	if got := output(t, c.log(), "stdout"); got != "new\n" {
		t.Errorf("the log has %q", got)
	}
}

func TestTheTailOfTheLogIsThereBeforeTheExitFile(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	for _, size := range []int{4, 16, 32, 60, 200} {
		bytes := size * 1024
		var group sync.WaitGroup
		for lane := range 3 {
			group.Add(1)
			go func() {
				defer group.Done()
				for round := range 10 {
					c := p.sh(fmt.Sprintf("yes 0123456789abcde | head -c %d", bytes))
					if err := c.tryCreate(); err != nil {
						t.Errorf("create: %v", err)
						return
					}
					if output, err := p.runc("start", c.request.ID); err != nil {
						t.Errorf("start: %v: %s", err, output)
						return
					}
					seen(c.request.BundlePath, func() bool { return exists(c.path("exit")) })
					// Read at once: what is missing now is missing when an engine looks.
					log, _ := os.ReadFile(c.path("log"))
					want := strings.Repeat("0123456789abcde\n", bytes/16)
					if got := output(t, string(log), "stdout"); got != want {
						t.Errorf("%d kB, lane %d, round %d: %d of %d bytes are in the log", size, lane, round, len(got), bytes)
					}
					p.runc("delete", "--force", c.request.ID)
				}
			}()
		}
		group.Wait()
	}
}

func TestALogHasNoMoreThanItsMaximum(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		// A line and what is put before it is about 50 bytes: there is room for one, or for none, which makes it one, too.
		for _, size := range []uint64{1, 50, 80} {
			c := newPod(t).container(terminal, "sh", "-c", "mkfifo /tmp/go; echo hello; read x < /tmp/go; echo world")
			c.request.LogDrivers[0].MaxSize = size
			c.create().start().logged("hello")
			c.release("/tmp/go")
			c.exited()
			if log := c.log(); strings.Contains(log, "hello") || !strings.Contains(log, "world") {
				t.Errorf("at most %d bytes: %q", size, log)
			}
		}
	})
}

func TestAReopenedLogIsANewFile(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.sh("mkfifo /tmp/go; echo before; read x < /tmp/go; echo after; sleep 1000").create().start()
	c.logged("before")
	if err := os.Rename(c.path("log"), c.path("log.1")); err != nil {
		t.Fatal(err)
	}
	if err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: c.request.ID}); err != nil {
		t.Fatal(err)
	}
	// It is there as soon as the answer is.
	if log := c.log(); log != "" {
		t.Errorf("the new log has %q", log)
	}
	c.release("/tmp/go")
	c.logged("after")
	if got := output(t, read(t, c.path("log.1")), "stdout"); got != "before\n" {
		t.Errorf("the old log has %q", got)
	}
	if got := output(t, c.log(), "stdout"); got != "after\n" {
		t.Errorf("the new log has %q", got)
	}
}

func TestNothingIsLostBetweenTwoLogs(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	const lines = 20000
	c := p.sh(fmt.Sprintf("seq %d", lines)).create().start()
	var all strings.Builder
	for n := 0; !exists(c.path("exit")); n++ {
		old := c.path(fmt.Sprintf("log.%d", n))
		if err := os.Rename(c.path("log"), old); err != nil {
			t.Fatal(err)
		}
		err := p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: c.request.ID})
		if err != nil {
			// It has ended: nothing was opened, the old file is the last one.
			wantError(t, err, "child not available")
			os.Rename(old, c.path("log"))
			break
		}
		all.WriteString(output(t, read(t, old), "stdout"))
	}
	c.exited()
	all.WriteString(output(t, c.log(), "stdout"))
	var want strings.Builder
	for n := 1; n <= lines; n++ {
		fmt.Fprintln(&want, n)
	}
	if all.String() != want.String() {
		t.Errorf("%d of %d bytes came through", all.Len(), want.Len())
	}
}

func TestOnlyAContainerThatIsThereHasALogToReopen(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	reopen := func(id string) error {
		return p.ReopenLogContainer(context.Background(), &client.ReopenLogContainerConfig{ID: id})
	}
	wantError(t, reopen("nobody"), "child not available")
	c := p.sh("true").create().start()
	c.exited()
	until(t, "the container to be forgotten", func() bool { return reopen(c.request.ID) != nil })
	wantError(t, reopen(c.request.ID), "child not available")
}

func TestEveryLogGetsEverything(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("seq 5000; seq 5000 >&2")
	second := c.path("second log")
	c.request.LogDrivers = append(c.request.LogDrivers,
		client.ContainerLogDriver{Type: client.LogDriverTypeJSONLogger, Path: second},
		client.ContainerLogDriver{Type: client.LogDriverTypeJournald})
	if code := c.create().start().exited(); code != "0" {
		t.Errorf("exit file %q", code)
	}
	inJSON := map[string]string{}
	for _, e := range entries(t, read(t, second)) {
		inJSON[e.Stream] += e.Log
	}
	want := string(sequence(23893))
	for _, stream := range []string{"stdout", "stderr"} {
		for i, got := range []string{output(t, c.log(), stream), inJSON[stream]} {
			if got != want {
				t.Errorf("%s has %d of %d bytes in log %d", stream, len(got), len(want), i)
			}
		}
	}
}

func TestASecondLogOfTheSameKindIsRefused(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("true")
	c.request.LogDrivers = append(c.request.LogDrivers, client.ContainerLogDriver{Path: c.path("second")})
	wantError(t, c.tryCreate(), fmt.Sprintf("cannot log to '%s', too", c.path("second")))
	if status := c.status(); status != "" {
		t.Errorf("the container is %s", status)
	}
}

func TestAFullDiskDoesNotStopTheContainer(t *testing.T) {
	t.Parallel()
	c := newPod(t).sh("seq 100000; echo done >&2; exit 5")
	if !exists("/dev/full") {
		t.Fatal("no /dev/full here")
	}
	c.request.LogDrivers[0].Path = "/dev/full"
	if code := c.create().start().exited(); code != "5" {
		t.Errorf("exit file %q", code)
	}
}

// entry is one line of a JSON log, in the form that Docker has given it.
type entry struct {
	Time   time.Time
	Stream string
	Log    string
}

// entries takes a JSON log apart.
func entries(t *testing.T, log string) (all []entry) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, e)
	}
	return all
}

func TestAJSONLog(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		c := newPod(t).container(terminal, "sh", "-c", "echo hello; echo world")
		c.request.LogDrivers[0].Type = client.LogDriverTypeJSONLogger
		err := c.tryCreate()
		if err != nil {
			t.Fatal(err)
		}
		c.start().exited()
		text := ""
		for _, e := range entries(t, c.log()) {
			if e.Stream != "stdout" || time.Since(e.Time) > time.Hour {
				t.Errorf("%+v", e)
			}
			text += strings.ReplaceAll(e.Log, "\r", "")
		}
		if text != "hello\nworld\n" {
			t.Errorf("the messages are %q", text)
		}
	})
}

func TestTheJournal(t *testing.T) {
	both(t, func(t *testing.T, terminal bool) {
		p := newPod(t)
		word := fmt.Sprintf("word-%d", containers.Add(1))
		c := p.container(terminal, "sh", "-c", "echo hello "+word+"; echo world "+word)
		c.request.LogDrivers[0].Type = client.LogDriverTypeJournald
		err := c.tryCreate()
		if err != nil {
			t.Fatal(err)
		}
		// Where there is no journal, the container must not notice.
		if code := c.start().exited(); code != "0" {
			t.Errorf("exit file %q", code)
		}
		if exists("/run/systemd/journal/socket") {
			until(t, "both lines in the journal", func() bool {
				entries, _ := exec.Command("journalctl", "--quiet", "--output=cat", "--since=-1min").Output()
				return strings.Contains(string(entries), "hello "+word) && strings.Contains(string(entries), "world "+word)
			})
		}
	})
}
