package goclient

import (
	"strings"
	"testing"
)

// unbuilt lists what the server does not do yet. Each is refused with a clear error, which the tests then check instead;
// what gets built is taken off the list, and its tests come alive.
var unbuilt = map[string]bool{
	"serveAttach": true,
	"serveExec":   true,
	"portForward": true,
}

// refused tells whether a feature is not built yet, having checked that the error says so.
func refused(t *testing.T, feature string, err error) bool {
	t.Helper()
	if !unbuilt[feature] {
		return false
	}
	if err == nil {
		t.Fatalf("%s: not built yet, but no error", feature)
	}
	if !strings.Contains(err.Error(), "not built yet") {
		t.Fatalf("%s: %v; want an error that says it is not built yet", feature, err)
	}
	return true
}

// wantError checks that there is an error and what it says.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Fatalf("the error is %q; want %q", err, text)
	}
}
