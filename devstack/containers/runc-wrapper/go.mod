module devstack/containers/runc-wrapper

go 1.21
