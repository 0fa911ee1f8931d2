package goclient

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// network is a network namespace with nothing but loopback, and servers in it: each greets its clients with its
// address, sends back what they send, and says "end" when that has ended.
type network struct {
	path  string
	ports []string       // of the servers, in their addresses' order
	done  sync.WaitGroup // connections
}

// newNetwork makes one with servers at these addresses, which go when the test ends.
func newNetwork(t *testing.T, addresses ...string) *network {
	t.Helper()
	n := &network{}
	made := make(chan error)
	over := make(chan struct{})
	go func() {
		// The namespace is this thread's, which ends with it as it stays locked.
		runtime.LockOSThread()
		listeners, err := n.enter(addresses)
		made <- err
		<-over
		for _, listener := range listeners {
			listener.Close()
		}
	}()
	t.Cleanup(func() { close(over) })
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *network) enter(addresses []string) (listeners []net.Listener, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("no network namespace: %w", err)
	}
	n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	if err := loopback(); err != nil {
		return nil, fmt.Errorf("no loopback interface: %w", err)
	}
	for _, address := range addresses {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return listeners, err
		}
		listeners = append(listeners, listener)
		n.ports = append(n.ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
		go n.serve(listener, address)
	}
	return listeners, nil
}

// loopback sets the interface of this thread's namespace up.
func loopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

func (n *network) serve(listener net.Listener, address string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		n.done.Add(1)
		go func() {
			defer n.done.Done()
			defer client.Close()
			fmt.Fprintf(client, "this is %s\n", address)
			if _, err := io.Copy(client, client); err == nil {
				fmt.Fprint(client, "end")
			}
		}()
	}
}

// quiet waits until all connections to the servers have ended.
func (n *network) quiet(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		n.done.Wait()
		close(done)
	}()
	within(t, "the connections in the pod to end", done)
}
