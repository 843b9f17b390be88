"""What task pods need to install packages: settings of this machine, and a cache."""
