using System.Collections.Concurrent;
using DualSparse.Kernels.Gemm;
using Iced.Intel;

namespace DualSparse.Kernels.Jit;

/// <summary>A function of one <see cref="PanelArgs"/>* to be assembled: where its body ends it returns.</summary>
internal sealed class EmittedFunction(string name, Action<FunctionAssembler> body)
{
    /// <summary>A function that multiplies all panels of its argument, given one that multiplies the first.</summary>
    public static EmittedFunction ForPanels(string name, Action<FunctionAssembler> body) => new(name, c => PanelLoop.Emit(c, body));

    /// <summary>For messages.</summary>
    public string Name => name;

    /// <summary>Writes the instructions between <see cref="CallFrame.Enter"/> and <see cref="CallFrame.Leave"/>.</summary>
    public Action<FunctionAssembler> Body => body;
}

/// <summary>Compiles emitted functions to machine code, each once per process.</summary>
internal static unsafe class KernelCompiler
{
    // Code stays for the life of the process: a kernel may be in use by any thread at any time.
    private static readonly ConcurrentDictionary<EmittedFunction, Lazy<ExecutableMemory>> Compiled = new();

    /// <summary>The machine code of a function. It may be placed anywhere: it addresses its constants relative to itself.</summary>
    public static byte[] Assemble(EmittedFunction function, CallAbi abi)
    {
        var assembler = new FunctionAssembler();
        CallFrame.Enter(assembler, abi);
        function.Body(assembler);
        CallFrame.Leave(assembler, abi);
        assembler.WriteConstants();
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), rip: 0);
        return code.ToArray();
    }

    /// <summary>The function, ready to be called on this machine.</summary>
    /// <exception cref="KernelRefusedException">The system gives no executable memory.</exception>
    public static delegate* unmanaged<PanelArgs*, void> Compile(EmittedFunction function) =>
        (delegate* unmanaged<PanelArgs*, void>)Compiled.GetOrAdd(function, Place).Value.Start;

    private static Lazy<ExecutableMemory> Place(EmittedFunction function) =>
        new(() => new ExecutableMemory(Assemble(function, CallFrame.Native)));
}
