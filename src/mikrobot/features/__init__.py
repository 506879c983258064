"""The features: compiled steps that read closed bars only and never look ahead."""
