namespace DualSparse.Tests.Server.Sdk;

/// <summary>Servers and clients that the checks of all clients share.</summary>
public sealed class SdkServers : IDisposable
{
    /// <summary>The key that servers want.</summary>
    public const string Key = "sk-test";

    /// <summary>What the model is called whose answers are known.</summary>
    public const string Model = "scripted";

    /// <summary>Messages as they are, one after another.</summary>
    public const string PlainTemplate = "{% for m in messages %}{{ m.content }}{% endfor %}";

    private readonly ScriptedModel model = new();
    private readonly TemporaryFolder folder = new();
    private readonly Dictionary<string, ISdk> clients = [];
    private readonly Lazy<RunningServer> scripted, narrow, mini;

    public SdkServers()
    {
        File.WriteAllText(folder.File("plain.jinja"), PlainTemplate);
        scripted = new(() => StartAnother());
        narrow = new(() => StartAnother("--max-running", "1", "--max-queued", "1"));
        mini = new(() => RunningServer.Start(TestPaths.Model, "--api-key", Key, "--name", Model, "--chat-template", folder.File("plain.jinja")));
    }

    /// <summary>The model whose answers are known.</summary>
    internal RunningServer Scripted => scripted.Value;

    /// <summary>The same where one request runs and one waits.</summary>
    internal RunningServer Narrow => narrow.Value;

    /// <summary>The model that ships, which has something to drop.</summary>
    internal RunningServer Mini => mini.Value;

    /// <summary>The same as <see cref="Scripted"/>, to be ended, with further arguments.</summary>
    internal RunningServer StartAnother(params string[] arguments) => RunningServer.Start(model.Path, ["--api-key", Key, "--name", Model, .. arguments]);

    /// <summary>A client; skips where it can't be run.</summary>
    internal ISdk Client(string name)
    {
        lock (clients)
        {
            if (name != SdkTests.DotNet && NodeSdk.Missing is { } missing)
                Assert.Skip(missing);
            if (!clients.TryGetValue(name, out var client))
                clients[name] = client = name == SdkTests.DotNet ? new DotNetSdk() : new NodeSdk(name);
            return client;
        }
    }

    public void Dispose()
    {
        foreach (var client in clients.Values.OfType<IDisposable>())
            client.Dispose();
        foreach (var server in new[] { scripted, narrow, mini })
        {
            if (server.IsValueCreated)
                server.Value.Dispose();
        }

        folder.Dispose();
        model.Dispose();
    }
}
