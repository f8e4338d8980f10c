package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// unpackPrograms puts the programs that this file carries (a zip archive behind the program itself) into
// data/<hash>/bin, and points data/current there, as k3s does with its own.
func (n *node) unpackPrograms(context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	carried, err := zip.OpenReader(self)
	if err != nil {
		return fmt.Errorf("this program carries no others: %w", err)
	}
	defer carried.Close()
	home := n.path("data", carried.Comment) // the recipe writes the hash of the content there
	if _, err := os.Stat(home); errors.Is(err, os.ErrNotExist) {
		partial := fmt.Sprintf("%s.%d", home, time.Now().UnixNano())
		defer os.RemoveAll(partial)
		for _, file := range carried.File {
			if err := unpack(file, filepath.Join(partial, "bin", filepath.Base(file.Name))); err != nil {
				return fmt.Errorf("%s: %w", file.Name, err)
			}
		}
		if err := os.Rename(partial, home); err != nil {
			return err
		}
	}
	// Whoever starts containers from here, BuildKit included, gets a runc that works on this machine.
	runc := "runc.real"
	if n.lacksSysResource {
		runc = "runc.wrap"
	}
	if err := link(runc, filepath.Join(home, "bin/runc")); err != nil {
		return err
	}
	return link(carried.Comment, n.path("data/current"))
}

func unpack(file *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	program, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(program, from); err != nil {
		program.Close()
		return err
	}
	return program.Close()
}

// link points a symbolic link somewhere, in one step.
func link(target, name string) error {
	if old, err := os.Readlink(name); err == nil && old == target {
		return nil
	}
	partial := fmt.Sprintf("%s.%d", name, time.Now().UnixNano())
	if err := os.Symlink(target, partial); err != nil {
		return err
	}
	return os.Rename(partial, name)
}
