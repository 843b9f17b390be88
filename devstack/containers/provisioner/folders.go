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
	// Pods may run as any user.
	folderMode fs.FileMode = 0o777
	// The limit of Linux's file systems.
	maxNameLength = 255
)

var errOutside = errors.New("not a folder of this provisioner")

// folders are the volumes below one folder of the node. Every access goes through
// os.Root, which follows no symbolic link out of that folder.
type folders struct {
	root *os.Root
}

func openFolders(path string) (folders, error) {
	root, err := os.OpenRoot(path)
	return folders{root}, err
}

// folderName returns a name that people recognize on the node. The volume's name is
// unique and comes first, so the name may be cut after it.
func folderName(volume string, claim *corev1.PersistentVolumeClaim) string {
	name := fmt.Sprintf("%s_%s_%s", volume, claim.Namespace, claim.Name)
	return name[:min(len(name), maxNameLength)]
}

// add creates a folder and returns its path on the node. An existing one is from an
// earlier attempt for the same volume.
func (f folders) add(name string) (string, error) {
	if err := f.root.Mkdir(name, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	// Mkdir applies the umask.
	if err := f.root.Chmod(name, folderMode); err != nil {
		return "", err
	}
	return filepath.Join(f.root.Name(), name), nil
}

// remove removes a folder and its contents; a missing folder is no error. The path is
// from a PersistentVolume, which other users may have written, so only a direct child
// of the root is removed.
func (f folders) remove(path string) error {
	name := filepath.Base(path)
	if path != filepath.Join(f.root.Name(), name) || path == filepath.Clean(f.root.Name()) {
		return fmt.Errorf("%q: %w", path, errOutside)
	}
	return f.root.RemoveAll(name)
}
