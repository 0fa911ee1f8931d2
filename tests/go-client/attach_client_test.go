package goclient

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containers/conmon-rs/pkg/client"
)

// session is an attach session through the Go client's own streams.
type session struct {
	t      *testing.T
	stdin  *io.PipeWriter
	stdout *io.PipeReader
	stderr *io.PipeReader
	ended  chan error // AttachContainer's return value
}

// attach attaches all three streams and waits until they are.
func (c *container) attach(changes ...func(*client.AttachConfig)) *session {
	t := c.pod.t
	t.Helper()
	s := &session{t: t, ended: make(chan error, 1)}
	config := client.AttachConfig{ID: c.request.ID, SocketPath: c.path("attach"), Tty: c.request.Terminal}
	stdin, stdinWriter := io.Pipe()
	stdoutReader, stdout := io.Pipe()
	stderrReader, stderr := io.Pipe()
	s.stdin, s.stdout, s.stderr = stdinWriter, stdoutReader, stderrReader
	config.Streams.Stdin = &client.In{ReadCloser: stdin}
	config.Streams.Stdout = &client.Out{WriteCloser: stdout}
	config.Streams.Stderr = &client.Out{WriteCloser: stderr}
	attached := make(chan struct{})
	config.PostAttachFunc = func() error { close(attached); return nil }
	for _, change := range changes {
		change(&config)
	}
	go func() { s.ended <- c.pod.AttachContainer(context.Background(), &config) }()
	select {
	case <-attached:
	case err := <-s.ended:
		t.Fatalf("attach: %v", err)
	}
	return s
}

// write sends input.
func (s *session) write(text string) {
	s.t.Helper()
	if _, err := s.stdin.Write([]byte(text)); err != nil {
		s.t.Fatalf("attach: cannot write: %v", err)
	}
}

// readOnce returns what one read gives: the content of one packet.
func (s *session) readOnce(from io.Reader) string {
	s.t.Helper()
	buffer := make([]byte, 16*1024)
	length := 0
	s.within("output", func() (err error) {
		length, err = from.Read(buffer)
		return err
	})
	return string(buffer[:length])
}

// expect reads exactly this text, in however many pieces.
func (s *session) expect(from io.Reader, text string) {
	s.t.Helper()
	got := make([]byte, len(text))
	length := 0
	s.within("output", func() (err error) {
		length, err = io.ReadFull(from, got)
		return err
	})
	if string(got[:length]) != text {
		s.t.Fatalf("attach: got %q, want %q", got[:length], text)
	}
}

// within calls something that may block, for as long as patience lasts.
func (s *session) within(what string, call func() error) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		if err != nil {
			s.t.Fatalf("attach: %s: %v", what, err)
		}
	case <-time.After(patience):
		s.t.Fatalf("attach: waited in vain for %s", what)
	}
}

// end waits for the session to end, as it does when the container has.
func (s *session) end() {
	s.t.Helper()
	s.within("the end", func() error { return <-s.ended })
}

// Packet types on the attach socket.
const (
	packetDone   = 0
	packetStdout = 2
	packetStderr = 3
)

// packets is an attach client that sees every packet.
type packets struct {
	*net.UnixConn
	t              *testing.T
	stdout, stderr bytes.Buffer
	done           bool
}

// listen asks the server for an attach socket and leaves connecting to the test.
func (c *container) listen(changes ...func(*client.AttachConfig)) {
	c.pod.t.Helper()
	config := client.AttachConfig{ID: c.request.ID, SocketPath: c.path("attach"), Passthrough: true}
	for _, change := range changes {
		change(&config)
	}
	if err := c.pod.AttachContainer(context.Background(), &config); err != nil {
		c.pod.t.Fatalf("attach: %v", err)
	}
}

// dial connects to the attach socket.
func (c *container) dial() *packets {
	t := c.pod.t
	t.Helper()
	connection, err := client.DialLongSocket("unixpacket", c.path("attach"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return &packets{UnixConn: connection, t: t}
}

// send writes one packet of input.
func (p *packets) send(input []byte) {
	p.t.Helper()
	p.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.Write(input); err != nil {
		p.t.Fatalf("attach: cannot send: %v", err)
	}
}

// readWhile takes packets in as long as the test wants more and there are any.
func (p *packets) readWhile(what string, more func() bool) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 64*1024)
	for more() {
		length, err := p.Read(buffer)
		if err != nil || length == 0 {
			p.t.Fatalf("attach: no more packets while reading %s: %v; stdout has %d bytes, stderr %d",
				what, err, p.stdout.Len(), p.stderr.Len())
		}
		switch buffer[0] {
		case packetDone:
			p.done = true
		case packetStdout:
			p.stdout.Write(buffer[1:length])
		case packetStderr:
			p.stderr.Write(buffer[1:length])
		default:
			p.t.Fatalf("attach: a packet of type %d", buffer[0])
		}
	}
}

// readToEnd reads up to the packet that says there will be no more.
func (p *packets) readToEnd() {
	p.t.Helper()
	p.readWhile("up to the end", func() bool { return !p.done })
}
