"""Everything that changes the model: data, teacher, distillation, pruning."""
