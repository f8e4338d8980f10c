package main

import (
	"net"
	"os"
)

// notifyReady tells systemd that a unit of Type=notify is up. The product's unit waits for it.
func notifyReady() error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil // started by hand
	}
	conn, err := net.Dial("unixgram", socket) // Go itself reads a leading @ as an abstract name
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("READY=1"))
	return err
}
