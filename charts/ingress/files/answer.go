// Package answer is traefik's middleware of a fixed answer, which traefik itself does not have. It is interpreted, so
// it holds nothing but what the standard library offers.
package answer

import (
	"context"
	"net/http"
)

// Config is the answer: status, headers and body, as they are sent.
type Config struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// CreateConfig gives what a route leaves out.
func CreateConfig() *Config { return &Config{Status: http.StatusServiceUnavailable} }

type answer struct{ config *Config }

// New makes the middleware. What stands behind it is never asked.
func New(_ context.Context, _ http.Handler, config *Config, _ string) (http.Handler, error) {
	return &answer{config}, nil
}

func (a *answer) ServeHTTP(writer http.ResponseWriter, _ *http.Request) {
	for name, value := range a.config.Headers {
		writer.Header().Set(name, value)
	}
	writer.WriteHeader(a.config.Status)
	_, _ = writer.Write([]byte(a.config.Body))
}
