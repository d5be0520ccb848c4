"""What every part of gaincell stands on: errors, files, records, processes, arguments."""
