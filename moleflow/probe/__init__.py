"""The probe: synthetic defects and perturbations of normal images."""
