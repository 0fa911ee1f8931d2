package goclient

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// stream connects to a URL of the server as kubectl does, until the session or the time is over.
func stream(t *testing.T, limit time.Duration, url string, options remotecommand.StreamOptions) error {
	t.Helper()
	executor, err := remotecommand.NewWebSocketExecutor(&rest.Config{}, "GET", url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return executor.StreamWithContext(ctx, options)
}

// serveExec gets the URL for a command.
func (c *container) serveExec(config client.ServeExecContainerConfig) (url string) {
	t := c.pod.t
	t.Helper()
	config.ID = c.request.ID
	result, err := c.pod.ServeExecContainer(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	return result.URL
}

func TestStreamedExec(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.idler(false)
	script := "echo -n out; echo -n err >&2"
	for _, tty := range []bool{false, true} {
		url := c.serveExec(client.ServeExecContainerConfig{
			Command: []string{"sh", "-c", script}, Tty: tty, Stdout: true, Stderr: !tty,
		})
		var stdout, stderr bytes.Buffer
		options := remotecommand.StreamOptions{Stdout: &stdout, Tty: tty}
		wantOut, wantErr := "outerr", ""
		if !tty {
			options.Stderr = &stderr
			wantOut, wantErr = "out", "err"
		}
		if err := stream(t, patience, url, options); err != nil {
			t.Error(err)
		}
		if stdout.String() != wantOut || stderr.String() != wantErr {
			t.Errorf("tty %v: stdout %q, stderr %q", tty, stdout.String(), stderr.String())
		}
		if err := stream(t, patience, url, options); err == nil {
			t.Error("the same URL works a second time")
		}
	}
	p.idle()
}

func TestStreamedExecHasAStatus(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	url := c.serveExec(client.ServeExecContainerConfig{Command: []string{"sh", "-c", "exit 7"}, Stdout: true})
	err := stream(t, patience, url, remotecommand.StreamOptions{Stdout: io.Discard})
	if code, ok := err.(exec.CodeExitError); !ok || code.Code != 7 {
		t.Errorf("%v; want status 7", err)
	}
}

func TestTheInputOfAStreamedExecEnds(t *testing.T) {
	t.Parallel()
	c := newPod(t).idler(false)
	url := c.serveExec(client.ServeExecContainerConfig{Command: []string{"cat"}, Stdin: true, Stdout: true})
	input := string(sequence(5 << 20))
	var output bytes.Buffer
	err := stream(t, patience, url, remotecommand.StreamOptions{Stdin: strings.NewReader(input), Stdout: &output})
	if err != nil || output.String() != input {
		t.Errorf("%d of %d bytes came back, %v", output.Len(), len(input), err)
	}
}

func TestStreamedExecIsOnlyForContainersThatAreThere(t *testing.T) {
	t.Parallel()
	_, err := newPod(t).ServeExecContainer(context.Background(), &client.ServeExecContainerConfig{ID: "nobody"})
	wantError(t, err, "child not available")
}

func TestStreamedAttach(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.container(true, "sh", "-c", "while :; do echo test; sleep 0.05; done").create().start()
	var outputs [2]bytes.Buffer
	ended := make(chan error, len(outputs))
	for i := range outputs {
		result, err := p.ServeAttachContainer(context.Background(), &client.ServeAttachContainerConfig{
			ID: c.request.ID, Stdin: true, Stdout: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		options := remotecommand.StreamOptions{Stdin: &bytes.Buffer{}, Stdout: &outputs[i], Tty: true}
		go func() { ended <- stream(t, time.Second, result.URL, options) }()
	}
	for range outputs {
		// Nothing ends the session but its time.
		if err := <-ended; err == nil {
			t.Error("the session ended by itself")
		}
	}
	for i := range outputs {
		if count := strings.Count(outputs[i].String(), "test\r\n"); count < 5 {
			t.Errorf("session %d has %q", i, outputs[i].String())
		}
	}
}

func TestStreamedAttachIsOnlyForContainersThatAreThere(t *testing.T) {
	t.Parallel()
	_, err := newPod(t).ServeAttachContainer(context.Background(), &client.ServeAttachContainerConfig{ID: "nobody"})
	wantError(t, err, "child not available")
}

func TestPortForward(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	result, err := p.ServePortForwardContainer(context.Background(), &client.ServePortForwardContainerConfig{
		NetNsPath: fmt.Sprintf("/proc/%d/ns/net", p.PID()),
	})
	if err != nil || !strings.Contains(result.URL, "/port-forward/") {
		t.Errorf("%+v, %v", result, err)
	}
}
