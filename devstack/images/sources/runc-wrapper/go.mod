module devstack/images/runc-wrapper

go 1.21
