"""From statistics to scores, p-values and anomaly maps; higher is more anomalous."""
