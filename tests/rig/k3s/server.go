package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// node is one server: its config, and what the machine itself decides.
type node struct {
	config
	lacksSysResource bool
	children         supervisor
	storeURL         string               // what the API server keeps its objects in
	imported         map[string]fileState // image archives, by name
}

func (n *node) path(parts ...string) string {
	return filepath.Join(append([]string{n.dataDir}, parts...)...)
}

func (n *node) bin(name string) string { return n.path("data/current/bin", name) }

// serve brings the node up and stays until a child ends or systemd asks to stop. Pods are no children of
// ours: they outlive the server, and the next containerd adopts them.
func serve() error {
	runtime.LockOSThread() // see supervisor.start
	settings, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	asked, stopAsking := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stopAsking()
	ctx, end := context.WithCancelCause(asked)
	n := &node{config: settings, children: supervisor{end: end}, imported: map[string]fileState{}}
	defer n.children.stop()

	if err = n.bringUp(ctx); err == nil {
		log.Print("node is up")
		if err = notifyReady(); err == nil {
			err = n.followFiles(ctx)
		}
	}
	if asked.Err() != nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	log.Printf("stopping, because %v", err) // now: the end of the others takes a while and says much
	return err
}

func (n *node) bringUp(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"look at this machine", n.lookAtMachine},
		{"unpack the programs", n.unpackPrograms},
		{"set kernel parameters", n.setKernelParameters},
		{"make certificates and kubeconfigs", n.makeCredentials},
		{"start the store", n.startStore},
		{"start the API server", n.startAPIServer},
		{"start the controllers and the scheduler", n.startControllers},
		{"start containerd", n.startContainerd},
		{"import image archives", n.importArchivesFirst},
		{"start the kubelet", n.startKubelet},
		{"set up the pod network", n.setUpPodNetwork},
		{"start kube-proxy", n.startKubeProxy},
	} {
		log.Print(step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// followFiles keeps looking at the two directories that k3s watches while it runs.
func (n *node) followFiles(ctx context.Context) error {
	if err := n.writePackagedManifests(); err != nil {
		return err
	}
	attempts := map[string]attempt{}
	for {
		n.applyManifests(ctx, attempts)
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
		if err := n.importArchives(ctx); err != nil {
			log.Print(err)
		}
	}
}

// until asks again and again, and gives up with the last answer after a time.
func until(ctx context.Context, timeout time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 300*time.Millisecond) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
