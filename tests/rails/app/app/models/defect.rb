class Defect < Issue
end
