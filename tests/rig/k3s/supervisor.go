package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// supervisor holds the children of one server. A node with a part missing is of no use, so the end of any
// child ends the server, and systemd starts it all again.
type supervisor struct {
	end     context.CancelCauseFunc
	running []child // in the order of their start
}

type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program as a child. In k3s all but containerd is one process, which leaves at once when it is
// killed, and containerd gets the same signal (its addDeathSig). Asked to stop, an API server whose store has
// gone would wait for ever, with the port in its hands. The kernel ends a child when the *thread* that started
// it ends, so this must be called from a goroutine that holds the main thread.
func (s *supervisor) start(name string, output *os.File, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "NOTIFY_SOCKET=") })
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c := child{name: name, cmd: cmd, done: make(chan struct{})}
	s.running = append(s.running, c)
	go func() {
		_ = cmd.Wait()
		s.end(fmt.Errorf("%s ended: %s", name, cmd.ProcessState))
		close(c.done)
	}()
	return nil
}

// component runs a part of Kubernetes, or etcd, from this same program.
func (s *supervisor) component(name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return s.start(name, os.Stderr, self, append([]string{name}, args...)...)
}

// stop ends the children one by one, last started first, so that nobody loses what it still needs.
func (s *supervisor) stop() {
	for _, c := range slices.Backward(s.running) {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-time.After(5 * time.Second):
			log.Printf("%s does not end, killing it", c.name)
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	}
}
