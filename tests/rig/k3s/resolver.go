package main

import (
	"net"
	"os"
	"strings"
)

// findResolvConf is where pods get the machine's resolvers from, as k3s looks for it: the file given, else the first
// of resolv.conf and resolved's own that names only resolvers which a pod can reach, else one that k3s makes up.
func (n *node) findResolvConf() (string, error) {
	if n.resolvConf != "" {
		return n.resolvConf, nil
	}
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		if text, err := os.ReadFile(file); err == nil && reachableFromPods(string(text)) {
			return file, nil
		}
	}
	file := n.path("agent/etc/resolv.conf")
	return file, writeFile(file, []byte("nameserver 8.8.8.8\n"), 0o644)
}

func reachableFromPods(resolvConf string) bool {
	found := false
	for _, line := range strings.Split(resolvConf, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		address := net.ParseIP(words[1])
		if address == nil || !address.IsGlobalUnicast() {
			return false
		}
		found = true
	}
	return found
}
