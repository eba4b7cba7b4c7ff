# Runs every spec: ruby -W0 -Itest test/all.rb [minitest options]
Dir[File.join(__dir__, "*_test.rb")].sort.each { |file| require file }
