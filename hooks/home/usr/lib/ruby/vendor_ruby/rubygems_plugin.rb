# frozen_string_literal: true

# Read by every `gem` command of Debian's Ruby: for all but root, gems go to Gem.user_dir, where every
# Ruby program looks for them anyway, and their programs to ~/.local/bin.  GEM_HOME, gemrc files and
# options win: these are defaults.  Bundler reads it, too, in the middle of its work; it has places of
# its own.
settings = '/etc/default/aptkeep-home'
off = File.readable?(settings) && File.foreach(settings).any?(/\AAPTKEEP_HOME_GEM=no\s*\z/)

unless Process.euid.zero? || off || defined?(Bundler)
  class << Gem
    system_dir = instance_method(:default_dir)
    upstream_path = instance_method(:default_path)

    define_method(:default_dir) { user_dir }

    # The system's gems are found as before.
    define_method(:default_path) { upstream_path.bind(self).call | [system_dir.bind(self).call] }

    define_method(:default_bindir) { File.join(user_home, '.local', 'bin') }
  end

  # From 3.5 on, RubyGems has settled its paths before it reads this; it does so in these words.
  Gem.use_paths(Gem.configuration[:gemhome], Gem.configuration[:gempath])
end
