module devstack/containers/curl

go 1.21
