// runcwrap stands before runc on a machine whose root lacks CAP_SYS_RESOURCE.
//
// Without that capability runc cannot give it to a container, lower an OOM score or raise a limit, and
// refuses to start privileged containers and pause containers. The wrapper takes those three wishes out
// of the configuration that runc is about to read, and then becomes runc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const missing = "CAP_SYS_RESOURCE"

func main() {
	if file := configFile(os.Args[1:]); file != "" {
		if err := edit(file); err != nil {
			fmt.Fprintln(os.Stderr, "runcwrap:", err)
			os.Exit(1)
		}
	}
	runc := realRunc()
	err := syscall.Exec(runc, append([]string{runc}, os.Args[1:]...), os.Environ())
	fmt.Fprintf(os.Stderr, "runcwrap: %s: %v\n", runc, err)
	os.Exit(1)
}

// configFile names the file that this call of runc reads its process from, or nothing if it reads none.
func configFile(args []string) string {
	command, bundle, process := "", ".", ""
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch {
		case command == "" && (arg == "create" || arg == "run" || arg == "exec"):
			command = arg
		case name == "--bundle":
			bundle = value
		case command == "exec" && name == "--process":
			process = value
		}
	}
	if command == "create" || command == "run" {
		return filepath.Join(bundle, "config.json")
	}
	return process
}

// edit rewrites a bundle's config.json, or the bare process that `exec --process` reads.
func edit(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // device numbers and limits do not survive a float
	var spec map[string]any
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	process, whole := spec["process"].(map[string]any)
	if !whole {
		process = spec
	}
	tame(process)
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func tame(process map[string]any) {
	delete(process, "rlimits")
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
	capabilities, _ := process["capabilities"].(map[string]any)
	for set, names := range capabilities {
		list, _ := names.([]any)
		kept := make([]any, 0, len(list))
		for _, name := range list {
			if name != missing {
				kept = append(kept, name)
			}
		}
		capabilities[set] = kept
	}
}

// realRunc finds runc: where the environment says, else beside the wrapper, else in the search path.
func realRunc() string {
	if named := os.Getenv("BBX_REAL_RUNC"); named != "" {
		return named
	}
	self, _ := os.Executable()
	candidates := []string{filepath.Join(filepath.Dir(self), "runc.real")}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		candidates = append(candidates, filepath.Join(dir, "runc"))
	}
	wrapper, _ := os.Stat(self)
	for _, candidate := range candidates {
		// The wrapper itself may be installed as runc; becoming it again would never end.
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && !os.SameFile(info, wrapper) {
			return candidate
		}
	}
	return "/usr/bin/runc"
}
