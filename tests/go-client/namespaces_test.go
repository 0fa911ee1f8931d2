package goclient

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containers/conmon-rs/pkg/client"
	"go.podman.io/storage/pkg/idtools"
)

// order is how the server lists namespaces, whatever was asked for, with the folder of each.
var order = []struct {
	kind   client.Namespace
	folder string
}{
	{client.NamespaceIPC, "ipcns"}, {client.NamespacePID, "pidns"}, {client.NamespaceNet, "netns"},
	{client.NamespaceUser, "userns"}, {client.NamespaceUTS, "utsns"},
}

// checkNamespaces looks at an answer: five mounted namespaces in their order.
func checkNamespaces(t *testing.T, got []*client.NamespacesResponse, base, podID string) {
	t.Helper()
	if len(got) != len(order) {
		t.Fatalf("%d namespaces", len(got))
	}
	for i, want := range order {
		path := filepath.Join(base, want.folder, podID)
		if got[i].Type != want.kind || got[i].Path != path {
			t.Errorf("namespace %d is %+v, want %s", i, got[i], path)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.IsDir() || info.Size() != 0 || info.Mode().Perm() != 0o444 {
			t.Errorf("%s has mode %v and %d bytes", path, info.Mode(), info.Size())
		}
	}
}

// own tells which of the namespaces are others than this process's.
func own(t *testing.T, got []*client.NamespacesResponse) (other []string) {
	t.Helper()
	for i, name := range []string{"ipc", "pid", "net", "user", "uts"} {
		here, err := os.Stat("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		there, err := os.Stat(got[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(here, there) {
			other = append(other, name)
		}
	}
	return other
}

func TestNamespacesNeedAPod(t *testing.T) {
	t.Parallel()
	_, err := newPod(t).CreateNamespaces(context.Background(), &client.CreateNamespacesConfig{})
	wantError(t, err, "no pod ID provided")
}

func TestNamespacesOfAPod(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	podID := filepath.Base(p.dir) + fmt.Sprint(p.PID())
	config := client.CreateNamespacesConfig{
		PodID: podID,
		Namespaces: []client.Namespace{
			client.NamespaceIPC, client.NamespaceNet, client.NamespacePID, client.NamespaceUTS,
		},
	}
	answer, err := p.CreateNamespaces(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	checkNamespaces(t, answer.Namespaces, "/var/run", podID)
	if others := fmt.Sprint(own(t, answer.Namespaces)); others != "[ipc pid net uts]" {
		t.Errorf("namespaces of its own: %s", others)
	}
	// Asking again gives the same paths.
	again, err := p.CreateNamespaces(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	checkNamespaces(t, again.Namespaces, "/var/run", podID)
	p.shutdown()
	for _, namespace := range answer.Namespaces {
		if exists(namespace.Path) {
			t.Errorf("%s is left", namespace.Path)
		}
	}
}

func TestNamespacesOfTheHost(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	config := client.CreateNamespacesConfig{PodID: "a.b", BasePath: p.dir}
	answer, err := p.CreateNamespaces(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	checkNamespaces(t, answer.Namespaces, p.dir, "a.b")
	if others := own(t, answer.Namespaces); others != nil {
		t.Errorf("namespaces of its own: %v", others)
	}
}

func TestAUserNamespace(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	one := []idtools.IDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	config := client.CreateNamespacesConfig{
		PodID:      "pod",
		BasePath:   p.dir,
		Namespaces: []client.Namespace{client.NamespaceUser, client.NamespaceIPC},
		IDMappings: idtools.NewIDMappingsFromMaps(one, one),
	}
	answer, err := p.CreateNamespaces(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	checkNamespaces(t, answer.Namespaces, p.dir, "pod")
	if others := fmt.Sprint(own(t, answer.Namespaces)); others != "[ipc user]" {
		t.Errorf("namespaces of its own: %s", others)
	}
}

func TestAUserNamespaceTakesMappings(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	config := client.CreateNamespacesConfig{PodID: "pod", Namespaces: []client.Namespace{client.NamespaceUser}}
	if _, err := p.CreateNamespaces(context.Background(), &config); !errors.Is(err, client.ErrMissingIDMappings) {
		t.Errorf("the client says %v", err)
	}
	p.answers()
}
