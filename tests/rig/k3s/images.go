package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fileState tells whether a file changed since it was last looked at.
type fileState struct {
	size     int64
	modified time.Time
}

// importArchives imports what is new in agent/images, at the start and every time it is called again. The
// labels are k3s's pin, which keeps image garbage collection away from images that no registry serves.
func (n *node) importArchives(ctx context.Context) error {
	directory := n.path("agent/images")
	entries, err := os.ReadDir(directory)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !isArchive(entry.Name()) {
			continue
		}
		state := fileState{info.Size(), info.ModTime()}
		if n.imported[entry.Name()] == state || time.Since(state.modified) < time.Second {
			continue // known, or perhaps still being written
		}
		n.imported[entry.Name()] = state
		log.Printf("importing images from %s", entry.Name())
		err = n.ctr(ctx, "images", "import", "--label", "io.cattle.k3s.pinned=pinned",
			"--label", "io.cri-containerd.pinned=pinned", filepath.Join(directory, entry.Name()))
		if err != nil { // as with k3s, a broken archive does not keep the node down
			log.Printf("%s: %v", entry.Name(), err)
		}
	}
	return nil
}

func isArchive(name string) bool {
	for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}
