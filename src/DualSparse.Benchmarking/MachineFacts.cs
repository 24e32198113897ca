using System.Reflection;
using System.Runtime.InteropServices;
using DualSparse.Kernels;

namespace DualSparse.Benchmarking;

/// <summary>The facts about a machine that belong to a measurement.</summary>
/// <param name="Cpu">The processor's own name, and for x86 its family and model: "AMD EPYC 9654 (family 25, model 17)".</param>
/// <param name="Instructions">The instruction sets that kernels can use here: "avx2, avx512, avx512-bf16, avx512-vnni, amx-bf16, amx-int8".</param>
/// <param name="Cores">Processors that this process may use, by its affinity mask and its cgroup's quota.</param>
/// <param name="System">Operating system and architecture.</param>
/// <param name="Runtime">.NET's version.</param>
/// <param name="Version">DualSparse's version and, if it was built from a repository, the commit.</param>
/// <param name="Date">The day, in UTC: "2026-11-24".</param>
internal sealed record MachineFacts(string Cpu, string Instructions, int Cores, string System, string Runtime, string Version, string Date)
{
    /// <summary>This machine, today.</summary>
    public static MachineFacts Current()
    {
        var cpu = CpuFeatures.Current;
        (string Name, bool Has)[] sets =
        [
            ("avx2", cpu.Avx2), ("avx512", cpu.Avx512), ("avx512-bf16", cpu.Avx512Bf16), ("avx512-vnni", cpu.Avx512Vnni),
            ("amx-bf16", cpu.AmxBf16), ("amx-int8", cpu.AmxInt8),
        ];
        string[] available = [.. sets.Where(s => s.Has).Select(s => s.Name)];
        return new(
            cpu.Family == 0 ? cpu.Name : $"{cpu.Name} (family {cpu.Family}, model {cpu.Model})",
            available.Length == 0 ? "none beyond the architecture's own" : string.Join(", ", available),
            Environment.ProcessorCount,
            $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}",
            Environment.Version.ToString(),
            typeof(MachineFacts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown",
            $"{DateTime.UtcNow:yyyy-MM-dd}");
    }

    /// <summary>All of it in one line.</summary>
    public override string ToString() =>
        $"{Cpu}, {Cores} {(Cores == 1 ? "core" : "cores")}, {Instructions}; {System}; .NET {Runtime}; DualSparse {Version}; {Date}";
}
