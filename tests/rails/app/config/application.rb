# The smallest Rails application that still boots as one: models, controllers, routes, no assets.
require "logger"
require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "rails/test_unit/railtie"
require_relative "../lib/acknowledged"
require_relative "../lib/workspace"

module Tracker
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults 6.1
    config.eager_load = true
    config.cache_classes = true
    config.secret_key_base = "a test application has nothing to hide"
    config.hosts.clear
    config.consider_all_requests_local = true
    config.action_dispatch.show_exceptions = false
    config.action_controller.allow_forgery_protection = false
    config.active_record.maintain_test_schema = false
    config.active_record.dump_schema_after_migration = false
    config.active_record.use_schema_cache_dump = false
    config.active_support.deprecation = :silence
    config.logger = Logger.new(ENV["TRACKER_LOG"] || File::NULL)
  end
end
