package goclient

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// alive tells whether a process is there and not a zombie.
func alive(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z"
}

// stat returns the state letter and the parent of a process (proc(5)); nothing if it is gone.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// pids lists all processes.
func pids() (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// children lists the processes whose parent this is, zombies included.
func children(parent int) (found []int) {
	// The kernel's own list where it keeps one.
	if list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", parent)); err == nil {
		for _, word := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(word); err == nil {
				found = append(found, pid)
			}
		}
		return found
	}
	for _, pid := range pids() {
		if _, of := stat(pid); of == parent {
			found = append(found, pid)
		}
	}
	return found
}

// program returns the file that a process runs.
func program(pid int) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return path
}

// helpers lists the children of a server that are programs of ours, workers and roles, and those nobody can tell any
// more: zombies.
func helpers(hub int) (found []int) {
	own, _ := filepath.EvalSymlinks(server)
	for _, pid := range children(hub) {
		if path := program(pid); path == "" || filepath.Dir(path) == filepath.Dir(own) {
			found = append(found, pid)
		}
	}
	return found
}

// marked describes all processes but this one that carry this run's marker.
func marked() (found []string) {
	wanted := []byte(marker + "=" + os.Getenv(marker))
	for _, pid := range pids() {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && pid != os.Getpid() && bytes.Contains(environment, wanted) {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			found = append(found, fmt.Sprintf("%d %q", pid, command))
		}
	}
	return found
}

// privateDirty returns the memory in kB that a process alone costs.
func privateDirty(t *testing.T, pid int) (kb int) {
	t.Helper()
	// Pages of a program file that has just been built count as dirty until they are on disk.
	if file, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		file.Sync()
		file.Close()
	}
	return field(t, fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Private_Dirty:")
}

// dirtyMappings lists where that memory is.
func dirtyMappings(pid int) (found string) {
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	mapping := ""
	for _, line := range strings.Split(string(maps), "\n") {
		if amount, ok := strings.CutPrefix(line, "Private_Dirty:"); !ok {
			if fields := strings.Fields(line); len(fields) > 4 && !strings.HasSuffix(fields[0], ":") {
				mapping = strings.Join(append(fields[:2:2], fields[5:]...), " ")
			}
		} else if amount = strings.TrimSpace(amount); amount != "0 kB" {
			found += mapping + ": " + amount + "\n"
		}
	}
	return found
}

// residentSet returns what the kernel calls VmRSS, in kB.
func residentSet(t *testing.T, pid int) (kb int) {
	t.Helper()
	return field(t, fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
}

func field(t *testing.T, path, name string) int {
	t.Helper()
	for _, line := range strings.Split(read(t, path), "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			number, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("no %s in %s", name, path)
	return 0
}

// descriptors counts the open descriptors of a process.
func descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

// kill sends a signal to one process.
func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// read returns what is in a file.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exists tells whether there is a file of this name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
