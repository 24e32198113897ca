using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using DualSparse.Benchmarking;
using DualSparse.Cli.Hosting;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Evaluation;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Server;
using DualSparse.Sparsify;
using DualSparse.Training;

namespace DualSparse.Tests;

public partial class ArchitectureTests
{
    // Each project and what it may see directly; what those see comes along.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Kernels"] = [],
        ["Models"] = ["Kernels"],
        ["Engine"] = ["Models"],
        ["Distributed"] = ["Engine"],
        ["Evaluation"] = ["Engine"],
        ["Benchmarking"] = ["Training"],
        ["Server"] = ["Engine"],
        ["Sparsify"] = ["Evaluation"],
        ["Training"] = ["Distributed"],
        ["Cli"] = ["Evaluation", "Benchmarking", "Server", "Sparsify", "Training", "Distributed"],
    };

    [Fact]
    public void Projects_see_only_what_the_architecture_allows()
    {
        string[] files = Directory.GetFiles(TestPaths.InRepository("src"), "*.csproj", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            string project = Path.GetFileNameWithoutExtension(file)["DualSparse.".Length..];
            var seen = XDocument.Load(file).Descendants("ProjectReference")
                .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/'))["DualSparse.".Length..]);
            Assert.Empty(seen.Except(Allowed[project]));
        }
    }

    // The kernels' project may, everywhere. Elsewhere whoever needs pointers adds the file here, on purpose; who no longer does takes it out.
    private static readonly string[] s_unsafe =
    [
        "Benchmarking/Ceilings.cs",
        "Benchmarking/ExpertParallel/LayerRunner.cs",
        "Benchmarking/ExpertParallel/VirtualMeasurement.cs",
        "Benchmarking/ExpertParallel/WatchedExchange.cs",
        "Benchmarking/LayerBenchmark.cs",
        "Benchmarking/RandomExperts.cs",
        "Benchmarking/ShortcutExperts/ScMoeRank.cs",
        "Distributed/AllToAllExchange.cs",
        "Distributed/ExpertProbe.cs",
        "Distributed/Handshake.cs",
        "Distributed/InboundRows.cs",
        "Distributed/Measuring/Rendezvous.cs",
        "Distributed/Measuring/RowBuffer.cs",
        "Distributed/Measuring/StageRunner.cs",
        "Distributed/MergedRows.cs",
        "Distributed/Mpi/CLibrary.cs",
        "Distributed/Mpi/MpiAbi.cs",
        "Distributed/Mpi/MpiLibrary.cs",
        "Distributed/OutboundRows.cs",
        "Distributed/PassFollower.cs",
        "Distributed/PassLeader.cs",
        "Distributed/RankCollective.cs",
        "Distributed/RankGroup.cs",
        "Distributed/RankLetter.cs",
        "Distributed/RankMessage.cs",
        "Distributed/RankNumbers.cs",
        "Distributed/RankProbe.cs",
        "Distributed/RankPulse.cs",
        "Distributed/ShareMessage.cs",
        "Engine/Attention.cs",
        "Engine/AttentionLayer.cs",
        "Engine/Embedding.cs",
        "Engine/GroupedQueryAttention.cs",
        "Engine/HeadLinear.cs",
        "Engine/KvCache.cs",
        "Engine/KvPage.cs",
        "Engine/LatentAttention.cs",
        "Engine/LatentHeads.cs",
        "Engine/LayerProgram.cs",
        "Engine/Linear.cs",
        "Engine/Loading/LayerStream.cs",
        "Engine/Loading/WindowsMemory.cs",
        "Engine/Moe/Balance/LowExperts.cs",
        "Engine/Moe/Balance/LowPrecision.cs",
        "Engine/Moe/DenseMlp.cs",
        "Engine/Moe/Drop/Compensation.cs",
        "Engine/Moe/ExpertTicket.cs",
        "Engine/Moe/IExchange.cs",
        "Engine/Moe/LocalExchange.cs",
        "Engine/Moe/MoeLayer.cs",
        "Engine/Moe/NeuronProbe.cs",
        "Engine/Moe/Router.cs",
        "Engine/Moe/RouterRule.cs",
        "Engine/OutputHead.cs",
        "Engine/Pass.cs",
        "Engine/Ranks/ICollective.cs",
        "Engine/Ranks/LocalCollective.cs",
        "Engine/Transformer.cs",
        "Engine/Vision/NormedMlp.cs",
        "Engine/Vision/PatchAttention.cs",
        "Engine/Vision/VisionBlock.cs",
        "Engine/Vision/VisionTower.cs",
        "Evaluation/LossSums.cs",
        "Training/Checkpoints/StateTensors.cs",
        "Training/Layers/AttentionBlock.cs",
        "Training/Layers/BlockInput.cs",
        "Training/Layers/DenseBlock.cs",
        "Training/Layers/ExpertRows.cs",
        "Training/Layers/FarSkipStreams.cs",
        "Training/Layers/GatedMlp.cs",
        "Training/Layers/IBlock.cs",
        "Training/Layers/IMlpBlock.cs",
        "Training/Layers/MoeBlock.cs",
        "Training/Layers/Norm.cs",
        "Training/Layers/RoutedBranch.cs",
        "Training/Ops/CrossEntropy.cs",
        "Training/Ops/Distillation.cs",
        "Training/Ops/EmbeddingOp.cs",
        "Training/Ops/Experts.cs",
        "Training/Ops/GeluOp.cs",
        "Training/Ops/HeadRows.cs",
        "Training/Ops/LayerNormOp.cs",
        "Training/Ops/Linear.cs",
        "Training/Ops/ParallelSum.cs",
        "Training/Ops/RmsNormOp.cs",
        "Training/Ops/RopeOp.cs",
        "Training/Ops/RouterOp.cs",
        "Training/Ops/SigmoidGate.cs",
        "Training/Ops/SwiGluOp.cs",
        "Training/Ops/WindowAttention.cs",
        "Training/Optimisation/AdamW.cs",
        "Training/Optimisation/GradientNorm.cs",
        "Training/ParameterSet.cs",
        "Training/ParameterSums.cs",
        "Training/Products/Arithmetic.cs",
        "Training/Products/Columns.cs",
        "Training/Products/Product.cs",
        "Training/Products/Rows.cs",
        "Training/Products/Scratch.cs",
        "Training/Products/TileSinks.cs",
        "Training/Ranks/BlockExchange.cs",
        "Training/Ranks/GradientSum.cs",
        "Training/Ranks/RowTicket.cs",
        "Training/Ranks/TrainingPeers.cs",
        "Training/TrainableModel.cs",
        "Training/Vision/PictureTokens.cs",
        "Training/Vision/PositionsOp.cs",
        "Training/Vision/TowerBlock.cs",
        "Training/Vision/TowerMlp.cs",
        "Training/Vision/TowerNorm.cs",
        "Training/Vision/TrainableTower.cs",
    ];

    // The command line has no pointers of its own; its one call of the system is generated code that does.
    private static readonly string[] s_allowUnsafe = ["Benchmarking", "Cli", "Distributed", "Engine", "Evaluation", "Kernels", "Training"];

    [Fact]
    public void Unsafe_code_stands_where_it_is_meant_to()
    {
        string root = TestPaths.InRepository("src");
        var projects = Directory.GetFiles(root, "*.csproj", SearchOption.AllDirectories)
            .Where(file => XDocument.Load(file).Descendants("AllowUnsafeBlocks").Any(e => e.Value == "true"))
            .Select(file => Path.GetFileNameWithoutExtension(file)["DualSparse.".Length..]);
        Assert.Equal(s_allowUnsafe, projects.Order(StringComparer.Ordinal));
        var files = Directory.GetFiles(root, "*.cs", SearchOption.AllDirectories)
            .Select(file => (Name: Path.GetRelativePath(root, file).Replace('\\', '/')["DualSparse.".Length..], Lines: File.ReadLines(file)))
            .Where(file => !file.Name.StartsWith("Kernels/", StringComparison.Ordinal) && !file.Name.Contains("/obj/", StringComparison.Ordinal))
            .Where(file => file.Lines.Any(line => Unsafe().IsMatch(line)))
            .Select(file => file.Name);
        Assert.Equal(s_unsafe, files.Order(StringComparer.Ordinal));
    }

    // What README's lines, a program that generates, and a server need. Whatever else is public by mistake shows here.
    private static readonly string[] s_public =
    [
        "DualSparse.Distributed.Ranks",
        "DualSparse.Engine.ChatClients", "DualSparse.Engine.EngineOptions", "DualSparse.Engine.LoadProgress", "DualSparse.Engine.LoadReport", "DualSparse.Engine.MoeModel",
        "DualSparse.Engine.DropCounts", "DualSparse.Engine.DropRequest", "DualSparse.Engine.DropThresholds",
        "DualSparse.Engine.Interval", "DualSparse.Engine.ExpectedLoss",
        "DualSparse.Engine.Serving.FinishReason", "DualSparse.Engine.Serving.GeneratedToken", "DualSparse.Engine.Serving.Generation",
        "DualSparse.Engine.Serving.GenerationOptions", "DualSparse.Engine.Serving.GenerationSummary", "DualSparse.Engine.Serving.Session",
        "DualSparse.Engine.Serving.Batching.ChoiceToken", "DualSparse.Engine.Serving.Batching.ContextLengthException", "DualSparse.Engine.Serving.Batching.DrainingException",
        "DualSparse.Engine.Serving.Batching.GenerationRequest", "DualSparse.Engine.Serving.Batching.PromptToken", "DualSparse.Engine.Serving.Batching.QueueFullException",
        "DualSparse.Engine.Serving.Batching.RequestStream", "DualSparse.Engine.Serving.Batching.RequestUsage", "DualSparse.Engine.Serving.Batching.Scheduler",
        "DualSparse.Engine.Serving.Batching.SchedulerOptions", "DualSparse.Engine.Serving.Batching.SchedulerState",
        "DualSparse.Engine.Serving.TokenLogProb",
        "DualSparse.Kernels.KernelSet", "DualSparse.Kernels.WeightFormat",
        "DualSparse.Server.DualSparseEndpoints", "DualSparse.Server.DualSparseServices", "DualSparse.Server.ServerOptions",
        "DualSparse.Training.Trainer", "DualSparse.Training.TrainingOptions", "DualSparse.Training.TrainingStep", "DualSparse.Training.Optimisation.RateDecay",
        "DualSparse.Models.ModelFormatException", "DualSparse.Models.Text.Tokenizer",
        "DualSparse.Models.Text.Templates.AnswerDelta", "DualSparse.Models.Text.Templates.AnswerDeltaKind", "DualSparse.Models.Text.Templates.ToolCallParser",
        "DualSparse.Models.Text.Templates.ChatRequest", "DualSparse.Models.Text.Templates.ChatTemplate", "DualSparse.Models.Text.Templates.ChatTemplateException",
        "DualSparse.Models.Text.Templates.RenderedChat", "DualSparse.Models.Text.Templates.TextSegment",
    ];

    [Fact]
    public void Public_is_what_the_librarys_users_need()
    {
        Assembly[] parts =
        [
            typeof(KernelSet).Assembly, typeof(ModelFormatException).Assembly, typeof(MoeModel).Assembly, typeof(WindowEvaluation).Assembly,
            typeof(LayerBenchmark).Assembly, typeof(Sparsifier).Assembly, typeof(ServerOptions).Assembly, typeof(RankedModel).Assembly, typeof(Trainer).Assembly, typeof(CommandHost).Assembly,
        ];
        Assert.Equal(s_public.Order(StringComparer.Ordinal), parts.SelectMany(p => p.GetExportedTypes()).Select(t => t.FullName!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Readme_shows_the_code_that_the_test_runs()
    {
        string readme = File.ReadAllText(TestPaths.InRepository("README.md"));
        string code = string.Concat(readme.Split("```csharp\n")[1..].Select(part => part.Split("```")[0]));
        string test = File.ReadAllText(TestPaths.InRepository("tests", "DualSparse.Tests", "Engine", "ReadmeTests.cs"));
        foreach (string line in code.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Contains(line.Trim(), test);
    }

    // Before any comment.
    [GeneratedRegex(@"^[^/""]*\bunsafe\b")]
    private static partial Regex Unsafe();
}
