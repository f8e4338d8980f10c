package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fileState tells whether a file changed since it was last looked at.
type fileState struct {
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// importArchivesFirst imports until there is nothing new, as k3s does before it goes on: what comes meanwhile is waited for, too.
func (n *node) importArchivesFirst(ctx context.Context) error {
	for {
		before := len(n.imported)
		if err := n.importArchives(ctx); err != nil || len(n.imported) == before {
			return err
		}
	}
}

// importArchives imports what is new in agent/images, at the start and every time it is called again. The
// labels are k3s's pin, which keeps image garbage collection away from images that no registry serves. Nothing is
// unpacked, as k3s unpacks nothing: that is for whoever starts a container first.
//
// What was imported before a restart is imported again, unless there is a .cache.json: k3s then remembers there which
// archives it has imported, and believes it whatever became of their images.
func (n *node) importArchives(ctx context.Context) error {
	directory := n.path("agent/images")
	entries, err := os.ReadDir(directory)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	n.recallImports(directory)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !isArchive(entry.Name()) {
			continue
		}
		state := fileState{info.Size(), info.ModTime().UTC()}
		if n.imported[entry.Name()] == state || time.Since(state.Modified) < time.Second {
			continue // known, or perhaps still being written
		}
		n.imported[entry.Name()] = state
		log.Printf("importing images from %s", entry.Name())
		err = n.ctr(ctx, "images", "import", "--no-unpack", "--label", "io.cattle.k3s.pinned=pinned",
			"--label", "io.cri-containerd.pinned=pinned", filepath.Join(directory, entry.Name()))
		if err != nil { // as with k3s, a broken archive does not keep the node down
			log.Printf("%s: %v", entry.Name(), err)
		}
		n.rememberImports(directory)
	}
	return nil
}

func (n *node) recallImports(directory string) {
	if len(n.imported) > 0 {
		return
	}
	text, err := os.ReadFile(filepath.Join(directory, importCache))
	if err == nil && len(text) > 0 {
		if err := json.Unmarshal(text, &n.imported); err != nil {
			log.Printf("%s: %v", importCache, err)
		}
	}
}

func (n *node) rememberImports(directory string) {
	file := filepath.Join(directory, importCache)
	if _, err := os.Stat(file); err != nil {
		return
	}
	text, err := json.Marshal(n.imported)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		log.Printf("%s: %v", importCache, err)
	}
}

const importCache = ".cache.json"

func isArchive(name string) bool {
	for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}
