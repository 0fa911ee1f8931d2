package goclient

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
)

// within waits until a channel is closed, for as long as patience lasts.
func within[T any](t *testing.T, what string, done <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-done:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return got
}

// dialer connects to a network as kubectl does.
func (p *pod) dialer(n *network) httpstream.Dialer {
	t := p.t
	t.Helper()
	config := client.ServePortForwardContainerConfig{NetNsPath: n.path}
	result, err := p.ServePortForwardContainer(context.Background(), &config)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(result.URL)
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := portforward.NewSPDYOverWebsocketDialer(parsed, &rest.Config{Host: parsed.Host})
	if err != nil {
		t.Fatal(err)
	}
	return dialer
}

// forward is a forwarder of client-go's at work.
type forward struct {
	t     *testing.T
	ports []portforward.ForwardedPort
	stop  chan struct{}
	ended chan error
}

// forward forwards a network's ports to ports of this machine.
func (p *pod) forward(n *network, ports ...string) *forward {
	t := p.t
	t.Helper()
	f := &forward{t: t, stop: make(chan struct{}), ended: make(chan error, 1)}
	for i, port := range ports {
		ports[i] = "0:" + port
	}
	ready := make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(
		p.dialer(n), []string{"127.0.0.1"}, ports, f.stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-f.ended:
		t.Fatalf("no forward: %v", err)
	case <-time.After(patience):
		t.Fatal("the forward is never ready")
	}
	if f.ports, err = forwarder.GetPorts(); err != nil {
		t.Fatal(err)
	}
	return f
}

// connect connects to a port by its place in the list.
func (f *forward) connect(port int) (*net.TCPConn, error) {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.ports[port].Local))
	if err != nil {
		return nil, err
	}
	connection.SetDeadline(time.Now().Add(patience))
	return connection.(*net.TCPConn), nil
}

// exchange sends bytes to a port, says that this is all, and returns what comes until the other side's end.
func (f *forward) exchange(port int, content []byte) ([]byte, error) {
	connection, err := f.connect(port)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := connection.Write(content)
		if err == nil {
			err = connection.CloseWrite()
		}
		sent <- err
	}()
	answer, err := io.ReadAll(connection)
	if err != nil {
		return answer, err
	}
	return answer, <-sent
}

func (f *forward) close() {
	f.t.Helper()
	close(f.stop)
	if err := within(f.t, "the end of the forward", f.ended); err != nil {
		f.t.Error(err)
	}
}

func TestPortsAreForwardedForManyAtOnce(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	addresses := []string{"127.0.0.1", "::1"}
	n := newNetwork(t, addresses...)
	f := p.forward(n, n.ports...)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			// Sequences that differ in length, so that what is mixed up is found.
			content := sequence(100_000 + 10_000*i)
			got, err := f.exchange(i%2, content)
			want := fmt.Sprintf("this is %s\n%send", addresses[i%2], content)
			if err != nil || string(got) != want {
				t.Errorf("connection %d: %d of %d bytes, %v", i, len(got), len(want), err)
			}
		})
	}
	all.Wait()
	f.close()
	n.quiet(t)
	p.idle()
}

func TestMegabytesAreForwardedExactly(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	n := newNetwork(t, "127.0.0.1")
	f := p.forward(n, n.ports...)
	content := sequence(5 << 20)
	got, err := f.exchange(0, content)
	want := append([]byte("this is 127.0.0.1\n"), content...)
	if err != nil || !bytes.Equal(got, append(want, "end"...)) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(content), err)
	}
	f.close()
	p.idle()
}

func TestAForwardEndsWithItsClientAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	n := newNetwork(t, "127.0.0.1")
	f := p.forward(n, n.ports...)
	// In the middle of a connection, to which neither side has said its last.
	connection, err := f.connect(0)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	greeting := make([]byte, len("this is 127.0.0.1\n"))
	if _, err := io.ReadFull(connection, greeting); err != nil {
		t.Fatal(err)
	}
	f.close()
	n.quiet(t)
	p.idle()
	p.answers()
}

// streams opens the two streams of a connection.
func streams(t *testing.T, connection httpstream.Connection, request, port string) (errors, data httpstream.Stream) {
	t.Helper()
	headers := http.Header{}
	headers.Set("port", port)
	headers.Set("requestID", request)
	headers.Set("streamType", "error")
	errors, err := connection.CreateStream(headers)
	if err != nil {
		t.Fatal(err)
	}
	errors.Close()
	headers.Set("streamType", "data")
	if data, err = connection.CreateStream(headers); err != nil {
		t.Fatal(err)
	}
	return errors, data
}

// all reads a stream to its end.
func all(t *testing.T, stream io.Reader) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		bytes, _ := io.ReadAll(stream)
		got <- string(bytes)
	}()
	return within(t, "the end of a stream", got)
}

func TestAPortThatIsNotThereIsAnErrorAndTheForwardGoesOn(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	n := newNetwork(t, "127.0.0.1")
	connection, _, err := p.dialer(n).Dial("portforward.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	errors, data := streams(t, connection, "0", "1")
	if text := all(t, errors); text != "error forwarding port 1: Connection refused" {
		t.Errorf("the error is %q", text)
	}
	if text := all(t, data); text != "" {
		t.Errorf("there is data: %q", text)
	}
	// Whoever asks for a stream that makes no sense is told, too.
	headers := http.Header{}
	headers.Set("streamType", "data")
	headers.Set("port", n.ports[0])
	headers.Set("requestID", "nobody")
	if _, err := connection.CreateStream(headers); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("a data stream without an error stream: %v", err)
	}
	errors, data = streams(t, connection, "1", n.ports[0])
	if _, err := io.WriteString(data, "hello, "); err != nil {
		t.Fatal(err)
	}
	data.Close()
	if text := all(t, data); text != "this is 127.0.0.1\nhello, end" {
		t.Errorf("got %q", text)
	}
	if text := all(t, errors); text != "" {
		t.Errorf("there is an error: %q", text)
	}
}
