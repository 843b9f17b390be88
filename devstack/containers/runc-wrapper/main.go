// Command runc-wrapper runs runc on hosts that withhold CAP_SYS_RESOURCE.
//
// Such a host rejects every privileged container ("unable to apply caps") and every
// negative OOM score. The wrapper removes both from the container's specification and
// then executes runc. If the host has the capability, it changes nothing.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	withheld    = "CAP_SYS_RESOURCE"
	withheldBit = 24
)

// runtimes lists the paths of runc in Linux distributions.
var runtimes = []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"}

func main() {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil && !hasCapability(status) {
		err = rewriteSpecification(os.Args[1:])
	}
	if err == nil {
		err = execRunc(os.Args)
	}
	fmt.Fprintln(os.Stderr, "runc-wrapper:", err)
	os.Exit(1)
}

// hasCapability returns true if the bounding set in /proc/self/status has the capability.
func hasCapability(status []byte) bool {
	for _, line := range strings.Split(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name != "CapBnd" {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		return err != nil || set&(1<<withheldBit) != 0
	}
	return true
}

// rewriteSpecification changes the file that the runc command reads, if any.
func rewriteSpecification(args []string) error {
	switch command(args) {
	case "create", "run", "restore":
		bundle := option(args, "--bundle", "-b", ".")
		return rewrite(filepath.Join(bundle, "config.json"), "process")
	case "exec":
		if process := option(args, "--process", "-p", ""); process != "" {
			return rewrite(process, "")
		}
	}
	return nil
}

// command returns the first argument that is neither a flag nor a flag's value.
func command(args []string) string {
	withValue := map[string]bool{"--log": true, "--log-format": true, "--root": true, "--rootless": true}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			return args[i]
		}
		if withValue[args[i]] {
			i++
		}
	}
	return ""
}

func option(args []string, long, short, fallback string) string {
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, long+"="); found {
			return value
		}
		if (arg == long || arg == short) && i+1 < len(args) {
			return args[i+1]
		}
	}
	return fallback
}

// rewrite changes the process under key in the JSON file at path (the whole document if
// key is empty) and replaces the file atomically.
func rewrite(path, key string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := withoutWithheld(content, key)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary := path + ".devstack"
	if err := os.WriteFile(temporary, changed, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func withoutWithheld(content []byte, key string) ([]byte, error) {
	// Keep numbers as they are: a float would change large limits.
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, err
	}
	process := document
	if key != "" {
		process, _ = document[key].(map[string]any)
	}
	dropCapability(process)
	clampScore(process)
	return json.Marshal(document)
}

func dropCapability(process map[string]any) {
	sets, _ := process["capabilities"].(map[string]any)
	for name, value := range sets {
		all, _ := value.([]any)
		kept := make([]any, 0, len(all))
		for _, capability := range all {
			if capability != withheld {
				kept = append(kept, capability)
			}
		}
		sets[name] = kept
	}
}

func clampScore(process map[string]any) {
	score, _ := process["oomScoreAdj"].(json.Number)
	if strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
}

func execRunc(args []string) error {
	for _, path := range runtimes {
		if _, err := os.Stat(path); err == nil {
			return syscall.Exec(path, append([]string{"runc"}, args[1:]...), os.Environ())
		}
	}
	return fmt.Errorf("no runc at any of %s", strings.Join(runtimes, ", "))
}
