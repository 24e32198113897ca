using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using DualSparse.Cli.Commands;

namespace DualSparse.Tests.Cli;

/// <summary><c>dualsparse serve</c> as its users start and end it.</summary>
public class ServeCommandTests
{
    [Theory]
    [InlineData("--port is 70000, expected 0 to 65535", "--port", "70000")]
    [InlineData("--host is 'nowhere', expected an IP address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them", "--host", "nowhere")]
    [InlineData("--alias is 'fast', expected NAME=X, such as fast=0.25", "--alias", "fast")]
    [InlineData("--alias is 'fast=2', expected NAME=X with X from 0 to below 1", "--alias", "fast=2")]
    [InlineData("--max-running is 0, expected at least 1", "--max-running", "0")]
    [InlineData("--request-timeout is -1, expected seconds, more than 0 and at most 86400", "--request-timeout", "-1")]
    [InlineData("--api-key is empty, expected a key", "--api-key", " ")]
    [InlineData("nowhere: there is no such folder", "nowhere")]
    public void What_makes_no_sense_is_one_sentence(string expected, params string[] arguments) =>
        Assert.StartsWith($"dualsparse: {expected}", CommandRun.Mistake(["serve", .. arguments]));

    [Fact]
    public void A_port_in_use_is_one_sentence()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        Assert.Equal($"dualsparse: port {port} at 127.0.0.1 is in use by another program: give another by --port, or 0 for a free one", CommandRun.Mistake("serve", TestPaths.Model, "--port", $"{port}"));
    }

    [Fact]
    public async Task C19_it_says_where_it_is_and_a_signal_ends_it_once_its_answers_have_ended()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("needs signals");
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "dualsparse.dll"), "serve", TestPaths.Model, "--port", "0", "--name", "mini"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[ServeArguments.KeyVariable] = "secret";
        using var process = Process.Start(start)!;
        try
        {
            string line = (await process.StandardOutput.ReadLineAsync())!;
            Assert.StartsWith("serving mini at http://127.0.0.1:", line);
            using var client = new HttpClient { BaseAddress = new Uri(line.Split(' ')[3].Split("/v1")[0]) };
            using (var refused = await client.PostAsJsonAsync("/v1/completions", new { prompt = "a" }))
                Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            client.DefaultRequestHeaders.Add("X-Api-Key", "secret");
            var asked = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(new { prompt = "Once upon", max_tokens = 200, ignore_eos = true, stream = true }) };
            using var response = await client.SendAsync(asked, HttpCompletionOption.ResponseHeadersRead);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            List<string> lines = [(await reader.ReadLineAsync())!];
            using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]))
                await kill.WaitForExitAsync();
            while (await reader.ReadLineAsync() is { } next)
                lines.Add(next);
            string[] events = [.. lines.Where(l => l.Length > 0)];
            Assert.Equal("data: [DONE]", events[^1]);
            Assert.Equal("length", JsonElement.Parse(events[^2][6..]).GetProperty("choices")[0].GetProperty("finish_reason").GetString());
            await process.WaitForExitAsync();
            Assert.Equal((0, ""), (process.ExitCode, await process.StandardError.ReadToEndAsync()));
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
