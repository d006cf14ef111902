"""One side effect each, safe to repeat: classes whose adapters are given in, so that workflows can name them freely."""
