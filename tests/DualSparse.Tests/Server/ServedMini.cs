using DualSparse.Engine;

namespace DualSparse.Tests.Server;

/// <summary>The model that ships with a template and a dualsparse.json, loaded once, and a server of it with the defaults.</summary>
public sealed class ServedMini : IAsyncLifetime
{
    /// <summary>Its template: roles and texts, a line each.</summary>
    public const string Template = """
        {%- for message in messages -%}
        {%- if message.content == 'refuse' -%}{{- raise_exception('this conversation is refused') -}}{%- endif -%}
        {{- message.role + ': ' + (message.content or '') + '\n' -}}
        {%- endfor -%}
        {%- for tool in tools or [] -%}{{- 'tool ' + tool.function.name + '\n' -}}{%- endfor -%}
        {%- if add_generation_prompt -%}{{- 'assistant:' -}}{%- endif -%}
        """;

    /// <summary>The expected KL at a quarter skipped, by its dualsparse.json.</summary>
    public const double QuarterKl = 0.002;

    private const string Low = """{"major":0.05,"minor":0.1}""", High = """{"major":0.1,"minor":0.2}""";

    private TemporaryFolder? folder;

    internal MoeModel Model { get; private set; } = null!;

    internal TestServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        folder = TemporaryFolder.CopyOf(TestPaths.Model);
        await File.WriteAllTextAsync(folder.File("dualsparse.json"), $$"""
            {"methods":[{"name":"paper","score":"gate","compensate":false,"scales":null,"points":[
              {"drop":0.25,"achieved":0.25,"thresholds":[{{Low}},{{Low}},{{Low}},{{Low}}],"loss":{{Loss(QuarterKl)}}},
              {"drop":0.5,"achieved":0.5,"thresholds":[{{High}},{{High}},{{High}},{{High}}],"loss":{{Loss(0.02)}}}]}]}
            """);
        await File.WriteAllTextAsync(folder.File("chat_template.jinja"), Template);
        Model = MoeModel.Load(folder.Path, new EngineOptions { Threads = 2 });
        Server = await TestServer.StartAsync(Model);
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Model.Dispose();
        folder!.Dispose();
    }

    private static string Loss(double kl)
    {
        string interval = $$"""{"value":{{kl}},"low":{{kl / 2}},"high":{{kl * 2}}}""";
        return $$"""{"kl":{{interval}},"deltaNll":{{interval}},"flips":{{interval}}}""";
    }
}

/// <summary>Tests that share one server, one after another: several at once would wait for each other's passes.</summary>
[CollectionDefinition("server")]
public class ServerCollection : ICollectionFixture<ServedMini>;
