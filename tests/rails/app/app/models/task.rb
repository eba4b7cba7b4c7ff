class Task < Issue
end
