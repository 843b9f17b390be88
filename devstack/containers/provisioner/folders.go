package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

const (
	// A pod writes to its volume whoever it runs as.
	everybody fs.FileMode = 0o777
	// The longest name that Linux's file systems take.
	longestName = 255
)

var errOutside = errors.New("not a folder of this provisioner")

// folders are the volumes below one folder of the node. All of it goes through
// os.Root, which follows no link out of that folder.
type folders struct {
	root *os.Root
}

func openFolders(path string) (folders, error) {
	root, err := os.OpenRoot(path)
	return folders{root}, err
}

// folderName is what people look for on the node. The volume's name is unique
// and comes first, so nothing is lost where a long claim's name is cut.
func folderName(volume string, claim *corev1.PersistentVolumeClaim) string {
	name := fmt.Sprintf("%s_%s_%s", volume, claim.Namespace, claim.Name)
	return name[:min(len(name), longestName)]
}

// add makes a folder and returns its path on the node. One that is there is
// from an earlier try for the same volume.
func (f folders) add(name string) (string, error) {
	if err := f.root.Mkdir(name, everybody); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	// The process has a umask.
	if err := f.root.Chmod(name, everybody); err != nil {
		return "", err
	}
	return filepath.Join(f.root.Name(), name), nil
}

// remove removes a folder with all that is in it; one that is gone is no error.
// The path comes from a PersistentVolume, which others may have written: only
// what lies directly below the root is removed.
func (f folders) remove(path string) error {
	name := filepath.Base(path)
	if path != filepath.Join(f.root.Name(), name) || path == filepath.Clean(f.root.Name()) {
		return fmt.Errorf("%q: %w", path, errOutside)
	}
	return f.root.RemoveAll(name)
}
